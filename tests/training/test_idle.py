"""Iterations that teach nothing are told, once they are ten in a row."""

import logging
import math

import pytest
import torch
from objective_batches import batch_of

from rltf.commands.train import train
from rltf.training.idle import WARN_AFTER, IdleIterations

SMALL = (
    "debug=default",
    "benchmark.sizes={train: 20, validation: 4, test: 6}",
    "report=false",
    "evaluation.problems=2",
)


def warnings_of(caplog, iterations):
    """Warnings of iterations, each a list of (weight of a token, gradient norm of the step)."""
    idle = IdleIterations()
    with caplog.at_level(logging.WARNING, "rltf"):
        for steps in iterations:
            for weight, norm in steps:
                if weight is not None:
                    idle.add_programs(batch_of([[weight]]))
                idle.add_step(torch.tensor(norm))
            idle.end_iteration()
    return caplog.messages


def test_ten_iterations_without_weight_or_gradient_are_told_once(caplog):
    [message] = warnings_of(caplog, [[(0.0, 0.0), (0.0, 0.0)]] * 25)
    assert message.startswith(f"judged programs have taught nothing in {WARN_AFTER} iterations in a row")


def test_nine_are_not_told_and_one_that_teaches_begins_the_count_anew(caplog):
    idle = [[(0.0, 0.0)]] * 9
    assert warnings_of(caplog, [*idle, [(0.0, 0.0), (0.5, 1e-9)], *idle]) == []


def test_programs_that_weigh_nothing_are_told_though_demonstrations_have_a_gradient(caplog):
    [message] = warnings_of(caplog, [[(0.0, 0.3)]] * 10)
    assert message.startswith("judged programs have taught nothing")


def test_weights_whose_gradient_is_zero_are_told(caplog):
    [message] = warnings_of(caplog, [[(1.0, 0.0)]] * 10)
    assert message.startswith("the gradient of every step of 10 iterations in a row was 0")


@pytest.mark.parametrize("norm", [1e-30, math.nan, math.inf])
def test_supervised_iterations_and_skipped_steps_are_not_idle(caplog, norm):
    assert warnings_of(caplog, [[(None, norm)]] * 20) == []


def test_a_run_whose_programs_all_fail_alike_says_so(composed, monkeypatch, caplog):
    monkeypatch.setattr("rltf.training.idle.WARN_AFTER", 2)
    same = ("reward=coarse", "warmup.steps=0", "algorithm.mix.supervised=null", "generation.sampling.max_new_tokens=1")
    with caplog.at_level(logging.WARNING, "rltf.training"):
        train(composed("train", *SMALL, *same))
    assert [m for m in caplog.messages if m.startswith("judged programs have taught nothing in 2 iterations")]
