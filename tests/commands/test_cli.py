"""A user's mistakes at the command line: one sentence that names the key, exit code 2, before any long work."""

import json
import subprocess
import sys
from pathlib import Path

import fork_server
import pytest

from rltf.commands.overrides import policy_overrides, train_overrides
from rltf.runs.folder import prepare_folder
from rltf.setup.checks import read_training_config

ROOT = Path(__file__).parents[2]


def run(command, *arguments):
    return fork_server.run(f"{command}.py", *arguments)


def assert_one_sentence(done, *words):
    lines = done.stderr.strip().splitlines()
    assert done.returncode == 2, done.stderr
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("error: ")
    for word in words:
        assert word in lines[0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["reward=corse"], ["reward=corse", "coarse"]),
        (["logger=[csv,tensorbord]"], ["logger=tensorbord", "tensorboard"]),
        (["model=codet5_770"], ["model=codet5_770", "codet5_770m"]),
        (["algorithm=rtlf"], ["algorithm=rtlf", "rltf"]),
        (["rollouts.sampels=3"], ["rollouts.sampels is not known: did you mean rollouts.samples?"]),
        (["warmup.step=20"], ["warmup.step is not known: did you mean warmup.steps?"]),
        (["modle=tiny_t5"], ["modle is not known: did you mean model?"]),
        (["+modle=tiny_t5"], ["modle is not known: did you mean model?"]),
        (["samples=3"], ["samples is not known: did you mean evaluation.samples or rollouts.samples?"]),
        (
            ["benchmark.difficulties={esy: 1}"],
            ["benchmark.difficulties.esy is not known: did you mean benchmark.difficulties.easy?"],
        ),
        (["trainer.max_epoch=2"], ["trainer.max_epoch is not known: did you mean trainer.max_epochs?"]),
        (["trainer.determinstic=true"], ["did you mean trainer.deterministic?"]),
        (["trainer.deterministic=true"], ["expected +trainer.deterministic=VALUE, which adds it"]),
        (["modle.layers=2"], ["modle.layers is not known: did you mean model.layers?"]),
        (["--hepl"], ["unrecognized arguments: --hepl: flags are --help, "]),
        (["+swep=credit"], ["swep is not known: did you mean sweep?"]),
        (["~warmup.stepz"], ["warmup.stepz is not known: did you mean warmup.steps?"]),
        (["rollouts.samples=[1"], ["samples"]),
    ],
)
def test_unknown_names_come_with_the_nearest_known_ones(arguments, words):
    assert_one_sentence(run("train", *arguments), *words)


def test_an_evaluation_names_its_own_keys():
    assert_one_sentence(run("eval", "policy=x", "debug=default"), "debug is not known: known are benchmark, critic,")
    assert_one_sentence(run("eval", "polcy=x"), "polcy is not known: did you mean policy?")


def test_the_first_lines_say_what_is_done_and_where(tmp_path):
    done = run("train", "benchmark=mbpp", f"benchmark.path={__file__}", f"paths.root={tmp_path}")
    first, second = done.stdout.splitlines()
    assert first.startswith(
        "training: model tiny_t5, benchmark mbpp, reward coarse+fine+adaptive, algorithm rltf_group"
    )
    assert second.startswith(f"run folder {tmp_path}")
    assert "benchmark.path" in done.stderr
    quiet = run("train", "benchmark=mbpp", f"benchmark.path={__file__}", f"paths.root={tmp_path}", "+quiet=true")
    assert (quiet.stdout, quiet.stderr) == ("", done.stderr)


def test_a_sweep_of_policies_goes_on_after_a_failure(tmp_path):
    few = ("benchmark.sizes={train: 5, validation: 1, test: 4}", "evaluation={samples: 1, ks: [1], greedy: false}")
    done = run("eval", "policy=tiny_t5,tiny_causal", "-m", *few, f"hydra.sweep.dir={tmp_path / 'named'}")
    assert done.returncode == 0, done.stderr
    assert [line.split("│")[2].strip() for line in done.stdout.splitlines() if "finished" in line] == [
        "model=tiny_t5",
        "model=tiny_causal",
    ]
    done = run("eval", f"policy={tmp_path / 'nothing'},x", "-m", *few, f"hydra.sweep.dir={tmp_path / 'paths'}")
    assert done.returncode == 1
    assert "expected a run folder, a folder in the Hugging Face layout" in done.stderr
    assert "model.path is null and the weights of x are not in the Hugging Face cache" in done.stderr
    assert "2 of 2 jobs did not finish" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["model=codet5_770m", "benchmark=mini"], ["Salesforce/codet5-large-ntp-py", "model.path"]),
        (["benchmark=mbpp", "benchmark.path=/nowhere/mbpp.jsonl"], ["benchmark.path", "/nowhere/mbpp.jsonl"]),
        (["model.max_prompt_tokens=-1"], ["max_prompt_tokens", "-1"]),
        (["model=pretrained", "model.name=x"], ["benchmark=NAME"]),
    ],
)
def test_missing_weights_and_files_are_said_at_once(tmp_path, arguments, words):
    assert_one_sentence(run("train", *arguments, f"paths.root={tmp_path}"), *words)


def test_a_malformed_benchmark_line_is_named(tmp_path):
    file = tmp_path / "mbpp.jsonl"
    good = {"task_id": 601, "text": "t", "code": "def f(): return 1", "test_list": ["assert f() == 1"]}
    file.write_text(json.dumps(good) + "\n{broken\n")
    done = run("train", "benchmark=mbpp", f"benchmark.path={file}", f"paths.root={tmp_path}")
    assert_one_sentence(done, "benchmark.path", "mbpp.jsonl", "2")


def test_a_resumed_folder_must_be_a_run(tmp_path):
    assert_one_sentence(run("train", f"resume={tmp_path}"), "resume", str(tmp_path))


def test_strangers_in_the_config_are_not_built(tmp_path):
    done = run("train", "reward.terms.coarse._target_=subprocess.Popen", f"paths.root={tmp_path}")
    assert_one_sentence(done, "reward.terms.coarse._target_", "trusted")


@pytest.mark.parametrize(
    ("override", "key"),
    [
        ("rollouts.samples=0", "rollouts.samples"),
        ("rollouts.problems=-3", "rollouts.problems"),
        ("rollouts.lag=2", "rollouts.lag"),
        ("optimizer.lr=0", "optimizer.lr"),
        ("optimizer.lr=fast", "optimizer.lr"),
        ("warmup.steps=-1", "warmup.steps"),
        ("trainer.max_epochs=0", "trainer.max_epochs"),
        ("generation.sampling.temperature=0", "generation.sampling.temperature"),
        ("evaluation.temperature=-1", "evaluation.temperature"),
        ("evaluation.temperature=0", "evaluation.samples"),
        ("evaluation.ks=[0]", "evaluation.ks"),
        ("evaluation.ks=[]", "evaluation.ks"),
        ("generation.sampling.max_new_tokens=-5", "generation.sampling.max_new_tokens"),
    ],
)
def test_numbers_are_checked_before_work(composed, override, key):
    with pytest.raises(ValueError, match=key.replace(".", r"\.")):
        read_training_config(composed("train", override))


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (
            ["optimizer._target_=torch.optim.SGD"],
            r"^optimizer.betas is not known to torch.optim.SGD, which takes lr, momentum, .*; '~optimizer.betas' ",
        ),
        (["optimizer.betas=[2,3]"], r"^optimizer: Invalid beta parameter at index 0: 2"),
        (["optimizer._target_=torch.hub.load"], r"^optimizer._target_=torch.hub.load is outside the packages"),
    ],
)
def test_an_optimiser_that_cannot_be_made_is_said_before_work(composed, overrides, sentence):
    with pytest.raises(ValueError, match=sentence):
        read_training_config(composed("train", *overrides))


def test_another_optimiser_is_a_node(composed):
    overrides = ["optimizer._target_=torch.optim.SGD", "~optimizer.betas", "+optimizer.momentum=0.9"]
    read_training_config(composed("train", *overrides))


def test_a_model_of_ones_own_without_a_recipe_gets_the_default_one(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine.yaml").write_text("_target_: x")
    assert train_overrides(["--config-dir", str(tmp_path), "model=mine"])[2:] == ["recipe=default", "model=mine"]
    assert train_overrides([f"--config-dir={tmp_path}", "model=mine"])[1:] == ["recipe=default", "model=mine"]
    assert train_overrides(["model=mine"]) == ["model=mine"]
    assert policy_overrides(["--config-dir", str(tmp_path), "policy=mine"])[-1] == "model=mine"


def test_a_full_disk_is_said_before_work(tmp_path, no_disk):
    with pytest.raises(ValueError, match=r"paths\.root"):
        prepare_folder(tmp_path / "run", needed_bytes=10**6)


def test_a_folder_that_cannot_be_made_is_said_before_work(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"paths\.output_dir"):
        prepare_folder(tmp_path / "file" / "run", needed_bytes=0)


def test_a_run_folder_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    assert_one_sentence(run("train", f"paths.root={tmp_path / 'file'}"), "paths.root")


def test_the_config_is_shown_without_heavy_imports():
    code = "import sys; sys.argv = ['train.py', '--cfg', 'job']; from rltf.commands.cli import command\n"
    code += "try: command('train')\nfinally: assert not {'torch', 'lightning', 'transformers'} & set(sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=800, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "tiny_t5" in done.stdout
