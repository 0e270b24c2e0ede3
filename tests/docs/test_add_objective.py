"""What the page on objectives says is executed."""

from __future__ import annotations

import pytest

from rltf.setup.instantiate import build

TRUSTED = "trusted=[rltf,lightning,mine]"


def test_the_objective_is_built_from_its_yaml(written, composed):
    search_path = f"hydra.searchpath=[file://{written('add_objective.md')}/configs]"
    cfg = composed("train", "algorithm=topr", search_path, TRUSTED, "algorithm.mix.rl.objective.bound=0.5")
    mix = build(cfg, "algorithm.mix")
    assert (mix.needs_rollouts, mix.needs_demonstrations, mix.needs) == (True, False, frozenset())
    assert mix.terms["rl"].objective.bound == 0.5


def test_a_wrong_option_is_refused_by_its_path(written, composed):
    search_path = f"hydra.searchpath=[file://{written('add_objective.md')}/configs]"
    cfg = composed("train", "algorithm=topr", search_path, TRUSTED, "algorithm.mix.rl.objective.bound=-1")
    with pytest.raises(
        ValueError, match=r"^algorithm\.mix\.rl\.objective\.bound is -1: expected a number of at least 0$"
    ):
        build(cfg, "algorithm.mix")


def test_the_pages_own_test_passes(written, run_tests):
    assert "4 passed" in run_tests(written("add_objective.md"))
