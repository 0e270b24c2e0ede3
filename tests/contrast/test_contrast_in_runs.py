"""`auxiliary=atc` in a run: it trains beside RL, and a run that goes on is the same to the bit."""

from __future__ import annotations

import csv

import pytest
import torch
from contrast_cases import POLICIES, mini, references
from safetensors.torch import load_file

from rltf.commands.train import train
from rltf.contrast.auxiliary_options import AuxiliaryContrast
from rltf.runs.checkpoint_file import read_checkpoint
from rltf.setup.checks import check_config
from rltf.types import FinishReason, Outcome, Program, Rollout, Verdict

RUN = (
    "debug=default",
    "auxiliary=atc",
    "auxiliary.rows=8",
    "auxiliary.k=0",
    "auxiliary.tau=0.25",
    "benchmark.sizes={train: 40, validation: 4, test: 4}",
    "benchmark.difficulties={hard: 1}",
    "report=false",
    "logger=none",
    "callbacks.progress=null",
    "warmup.steps=60",
    "warmup.lr=3e-3",
    "rollouts.lag=0",
    "rollouts.updates=2",
    "schedule={warmup_steps: 0, decay: false}",
)


def state(folder):
    return read_checkpoint(folder / "checkpoints/last.ckpt")


def rollout(problem_id, text):
    program = Program(problem_id, text, (5,), (6,), ((0, 1),), (-1.0,), FinishReason.EOS)
    return Rollout(program, Verdict(Outcome.PASSED, 1, 1), (), 1.0, 0.0, 1.0)


def test_a_run_that_was_stopped_and_goes_on_is_the_same_to_the_bit(composed, tmp_path):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    train(composed("train", *RUN, "trainer.max_epochs=4", f"paths.output_dir={whole}"))
    train(composed("train", *RUN, "trainer.max_epochs=2", f"paths.output_dir={cut}"))
    early = state(cut)
    train(composed("train", *RUN, "trainer.max_epochs=4", f"paths.output_dir={cut}", f"resume={cut}"))
    first, second = state(whole), state(cut)
    layers = [name for name in first["state_dict"] if name.startswith("auxiliary.")]
    assert len(layers) == 7  # two of the codes, four of the prediction, one of the comparison
    for name, weight in first["state_dict"].items():
        assert torch.equal(weight, second["state_dict"][name]), name
    for part in ("code", "target"):
        copies = first["auxiliary"][part]
        assert all(torch.equal(weight, second["auxiliary"][part][name]) for name, weight in copies.items())
        assert any(not torch.equal(weight, early["auxiliary"][part][name]) for name, weight in copies.items())
    exported = [load_file(folder / "policy/model.safetensors") for folder in (whole, cut)]
    assert all(torch.equal(exported[0][name], exported[1][name]) for name in exported[0])
    with (whole / "metrics.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["phase"] == "rl" and row["loss/total"]]
    assert len(rows) > 0
    assert sum(float(row["loss/auxiliary"]) for row in rows) > 0
    for row in rows:
        assert 0 <= float(row["auxiliary/accuracy"]) <= 1
        assert 0 < float(row["auxiliary/chance"]) <= 1


@pytest.mark.parametrize("make", POLICIES.values(), ids=POLICIES)
def test_its_batch_has_different_programs_with_lines_and_the_seed_decides(make):
    auxiliary = AuxiliaryContrast(rows=6).bind(make(), mini())
    pairs = [pair for pair in references() if "\n" in pair[1]][:8]
    given = [rollout(*pair) for pair in (*pairs, *pairs)] + [rollout(pairs[0][0], "print(1)")]
    batch = auxiliary.prepare(given, "1/0/0")
    assert len(batch.programs.response_BT) == 6
    assert len({tuple(row) for row in batch.programs.response_BT.tolist()}) == 6
    again, other = (auxiliary.prepare(given, seed) for seed in ("1/0/0", "1/0/1"))
    assert torch.equal(batch.augmented.response_BT, again.augmented.response_BT)
    assert batch.augmented.response_BT.tolist() != other.augmented.response_BT.tolist()


def test_a_micro_batch_without_lines_costs_nothing_and_has_gradients():
    policy = POLICIES["T5"]()
    auxiliary = AuxiliaryContrast().bind(policy, mini())
    auxiliary.start(policy)
    for given in ([], [rollout(references()[0][0], "print(1)")]):
        batch = auxiliary.prepare(given, "1")
        assert batch.count == 0
        loss = auxiliary(policy, batch)
        loss.total.backward()
        assert loss.total.item() == 0
    assert all(weight.grad is not None and not weight.grad.any() for weight in auxiliary.parameters())


def test_the_run_without_it_is_as_it_was_and_with_a_small_weight_nearly_so(composed, tmp_path):
    """Its layers and what it draws take no random numbers from others."""
    weights = []
    plain = [override for override in RUN if not override.startswith("auxiliary")]
    for name, options in (("plain", plain), ("small", [*RUN, "auxiliary.weight=1e-12"])):
        train(composed("train", *options, "trainer.max_epochs=2", f"paths.output_dir={tmp_path / name}"))
        weights.append(load_file(tmp_path / name / "policy/model.safetensors"))
    for name in weights[0]:
        torch.testing.assert_close(weights[0][name], weights[1][name], rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["algorithm=sft"], "auxiliary learns from judged programs and algorithm.mix.rl=null judges none: use"),
        (["trainer=fsdp"], "trainer.strategy is rltf.training.sharding.ShardedStrategy and auxiliary averages whole"),
        (["auxiliary.tau=0"], "auxiliary.tau is 0: expected a number above 0 and at most 1"),
        (["auxiliary.weight=0"], "auxiliary.weight is 0: expected a number above 0"),
        (["auxiliary.negatives=some"], "auxiliary.negatives is 'some': expected batch or other_programs"),
        (["+auxiliary.row=3"], "auxiliary.row is not known: did you mean auxiliary.rows?"),
    ],
)
def test_what_does_not_go_together_is_refused_by_its_key(composed, overrides, expected):
    with pytest.raises(ValueError) as error:
        check_config(composed("train", "auxiliary=atc", *overrides), "train")
    assert str(error.value).startswith(expected)
