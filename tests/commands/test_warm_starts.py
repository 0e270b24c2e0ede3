"""A policy that was warmed up once is not warmed up again, and the run that takes it is the run that would have."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest
import torch

from rltf.commands.ship_start import ship
from rltf.commands.train import train
from rltf.runs.checkpoint_file import read_checkpoint
from rltf.runs.warm_starts import NAMED, SHIPPED, differences_from_shipped, warmup_settings
from rltf.setup.checks import check_config

ROOT = Path(__file__).resolve().parents[2]
SMALL_RUN = (
    *("benchmark.sizes={train: 8, validation: 2, test: 2}", "rollouts.problems=2", "rollouts.samples=2"),
    *("trainer.max_epochs=1", "evaluation.samples=1", "evaluation.ks=[1]", "logger=none", "report=false"),
)
TINY = ("debug=default", "report=false", "trainer.max_epochs=1")


def plain(cfg):
    from omegaconf import OmegaConf

    return OmegaConf.to_container(cfg, resolve=True)


def rl_rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["phase"] == "rl"]
    return [{key: value for key, value in row.items() if not key.startswith(("perf/", "time/"))} for row in rows]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run that did its warm-up."""
    from hydra import compose, initialize_config_dir

    folder = tmp_path_factory.mktemp("trained") / "run"
    with initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
        return train(compose("train", [*TINY, f"paths.output_dir={folder}"])).folder


def test_a_run_from_anothers_start_is_the_same_to_the_bit(composed, trained):
    taken = train(composed("train", *TINY, f"warmup.from={trained}")).folder
    assert (taken / "policy/model.safetensors").read_bytes() == (trained / "policy/model.safetensors").read_bytes()
    assert rl_rows(taken) == rl_rows(trained)
    assert not (taken / "checkpoints/warmup.ckpt").exists()
    assert json.loads((taken / "summary.json").read_text())["warm_start"] == str(trained)


def test_the_cache_trains_a_start_once_for_a_seed(composed, trained, tmp_path):
    cached = (*TINY, "warmup.from=cache", f"paths.warm_starts={tmp_path / 'starts'}")
    folders = [
        train(composed("train", *cached, f"seed={seed}", f"paths.output_dir={tmp_path / name}")).folder
        for name, seed in (("first", 1), ("second", 1), ("third", 2))
    ]
    summaries = [json.loads((folder / "summary.json").read_text()) for folder in folders]
    assert ["warm_start" in summary for summary in summaries] == [False, True, False]
    assert len(list((tmp_path / "starts").glob("*/start.ckpt"))) == 2
    weights = [(folder / "policy/model.safetensors").read_bytes() for folder in (*folders, trained)]
    assert weights[0] == weights[1] == weights[3] != weights[2]


def test_a_resumed_run_has_the_start_that_it_took(composed, trained, tmp_path):
    origin = tmp_path / "origin"
    shutil.copytree(trained, origin)
    run = (*TINY, "reference=true", f"warmup.from={origin}")
    folder = train(composed("train", *run)).folder
    shutil.rmtree(origin)
    resumed = train(composed("train", *run, "trainer.max_epochs=2", f"resume={folder}"))
    start = read_checkpoint(trained / "checkpoints/warmup.ckpt")["state_dict"]
    for name, weight in resumed.module.start_policy.named_parameters():
        assert torch.equal(weight, start[f"policy.{name}"])


def test_the_start_that_ships_is_of_the_default_settings_and_its_card_is_true(composed):
    cfg = composed("train")
    assert cfg.warmup["from"] == "shipped"
    assert differences_from_shipped(warmup_settings(plain(cfg))) == []
    weights = read_checkpoint(SHIPPED)["state_dict"]
    card = json.loads(SHIPPED.with_suffix(".json").read_text())
    assert sum(w.numel() for w in {w.data_ptr(): w for w in weights.values()}.values()) == card["parameters"]
    assert SHIPPED.stat().st_size < 2.1e6
    assert all(weight.dtype == torch.float16 and torch.isfinite(weight).all() for weight in weights.values())


def test_the_start_of_long_programs_is_made_as_the_makefile_says_and_taken_for_any_number_of_parts(composed):
    card = json.loads(NAMED["mini_long"].with_suffix(".json").read_text())
    rule = (ROOT / "Makefile").read_text().split("\nlong-start:")[1].split("-m rltf.commands.ship_start")[0]
    typed = [word.strip("'") for word in rule.split() if "=" in word and not word.startswith(("hydra.", "logger="))]
    cfg = composed("train", *(word for word in typed if not word.startswith("experiment=")), "experiment=long")
    assert warmup_settings(plain(cfg)) == card["settings"]
    short = ("experiment=long", "benchmark.parts=[1]", *SMALL_RUN)
    folder = train(composed("train", *short)).folder
    assert json.loads((folder / "summary.json").read_text())["warm_start"] == "the file that ships for mini_long"
    start = read_checkpoint(folder / "checkpoints/start.ckpt")["state_dict"]
    assert sum(w.numel() for w in {w.data_ptr(): w for w in start.values()}.values()) == card["parameters"]


def test_other_settings_than_those_of_the_start_that_ships_are_named(composed):
    cfg = composed("train", "model.layers=3", "warmup.lr=1e-3", "seed=7", "warmup.save_every=5")
    assert differences_from_shipped(warmup_settings(plain(cfg))) == ["model.layers", "warmup.lr"]


def test_a_shipped_start_is_the_runs_own_in_half_precision(trained, tmp_path):
    ship(trained, tmp_path / "start.ckpt")
    halves = read_checkpoint(tmp_path / "start.ckpt")["state_dict"]
    weights = read_checkpoint(trained / "checkpoints/warmup.ckpt")["state_dict"]
    assert all(torch.equal(halves[name], weight.half()) for name, weight in weights.items())
    card = json.loads((tmp_path / "start.json").read_text())
    assert card["settings"]["warmup"]["steps"] == 4


def test_a_start_of_nothing_or_of_another_model_is_one_sentence(composed, trained, tmp_path):
    with pytest.raises(ValueError, match=r"^warmup.from is '/nope': expected scratch, cache, shipped, mini_long, or "):
        check_config(composed("train", "warmup.from=/nope"), "train")
    (tmp_path / "damaged/checkpoints").mkdir(parents=True)
    (tmp_path / "damaged/checkpoints/warmup.ckpt").write_bytes(b"half")
    with pytest.raises(ValueError, match=r"damaged', whose checkpoint is damaged: expected another run, or scratch$"):
        train(composed("train", *TINY, f"warmup.from={tmp_path / 'damaged'}", f"paths.output_dir={tmp_path / 'run2'}"))
    with pytest.raises(ValueError, match=r"^warmup.from: .* is of another model, .*: expected the model of that run$"):
        train(composed("train", *TINY, f"warmup.from={trained}", "model.d_ff=64"))
