"""`rltf export RUN`: a policy from any checkpoint, as the run itself would have exported it."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from safetensors.torch import load_file

from rltf.commands.export import main
from rltf.commands.train import train

CONFIGS = Path(__file__).parents[2] / "configs"
SMALL = ("debug=default", "benchmark.sizes={train: 20, validation: 4, test: 6}", "report=false")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a finished run."""
    folder = tmp_path_factory.mktemp("run")
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        train(compose("train", [f"paths.output_dir={folder}", *SMALL]))
    return folder


@pytest.fixture
def stopped(finished, tmp_path):
    """The same run as if it had been stopped: without an exported policy."""
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    shutil.rmtree(run / "policy")
    return run


def weights(folder):
    return load_file(folder / "model.safetensors")


def test_the_newest_checkpoint_gives_the_policy_that_the_run_exports(finished, stopped, capsys):
    assert main([str(stopped)]) == 0
    assert capsys.readouterr().out == (f"{stopped / 'policy'}: the policy after 2 iterations (checkpoints/last.ckpt)\n")
    expected = weights(finished / "policy")
    assert expected.keys() == weights(stopped / "policy").keys()
    assert all(torch.equal(expected[name], weight) for name, weight in weights(stopped / "policy").items())
    files = {file.name for file in (finished / "policy").iterdir()}
    assert {file.name for file in (stopped / "policy").iterdir()} == files


def test_the_best_weights_lie_beside_the_last_ones(stopped, capsys):
    assert main([str(stopped), "--best"]) == 0
    assert (
        f"{stopped / 'policy_best'}: the policy after 1 iterations (checkpoints/best.ckpt)" in capsys.readouterr().out
    )
    best = torch.load(stopped / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    exported = weights(stopped / "policy_best")
    assert torch.equal(exported["shared.weight"], best["policy.model.shared.weight"])
    assert not (stopped / "policy").exists()


def test_a_run_that_was_stopped_in_its_warm_up_has_a_policy(stopped, tmp_path, capsys):
    for file in (stopped / "checkpoints").glob("*.ckpt"):
        if not file.name.startswith("warmup"):
            file.unlink()
    assert main([str(stopped), "--out", str(tmp_path / "out")]) == 0
    assert "the policy of the warm-up (checkpoints/warmup.ckpt)" in capsys.readouterr().out
    assert (tmp_path / "out" / "tokenizer.json").is_file()


def test_mistakes_are_one_sentence(stopped, tmp_path, capsys):
    assert main([str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"error: {tmp_path} is no run folder: expected one that holds config.yaml\n"
    (stopped / "checkpoints" / "best.ckpt").unlink()
    assert main([str(stopped), "--best"]) == 2
    expected = f"error: {stopped} has no best.ckpt, since nothing was validated yet: leave out --best\n"
    assert capsys.readouterr().err == expected
    shutil.rmtree(stopped / "checkpoints")
    assert main([str(stopped)]) == 2
    assert capsys.readouterr().err.startswith(f"error: {stopped / 'checkpoints'} holds no checkpoint: expected a run")


def test_a_run_of_strangers_does_not_say_what_is_trusted(stopped, capsys):
    config = (stopped / "config.yaml").read_text()
    hostile = config.replace("_target_: rltf.policies.tiny.tiny_t5", "_target_: os.system").replace(
        "- rltf\n", "- os\n"
    )
    assert hostile != config
    (stopped / "config.yaml").write_text(hostile)
    assert main([str(stopped)]) == 2
    assert "model._target_=os.system is outside the packages named by trusted=" in capsys.readouterr().err


def test_the_summary_is_left_alone(finished, stopped):
    main([str(stopped)])
    read = json.loads((stopped / "summary.json").read_text())
    assert read == json.loads((finished / "summary.json").read_text())
