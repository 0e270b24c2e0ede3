"""What the page on rewards and their docstrings say is executed."""

from __future__ import annotations

import pkgutil
import subprocess
import sys

import pytest
from pages import ROOT

import rltf.rewards
from rltf.setup.instantiate import build

MODULES = [f"rltf.rewards.{module.name}" for module in pkgutil.iter_modules(rltf.rewards.__path__)]
TRUSTED = "trusted=[rltf,lightning,mine]"


def test_rewards_import_without_torch():
    code = f"import sys, {', '.join(MODULES)}; assert 'torch' not in sys.modules and 'hydra' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_the_reward_is_built_beside_the_ones_that_come_with_rltf(written, composed):
    search_path = f"hydra.searchpath=[file://{written('add_reward.md')}/configs]"
    cfg = composed("train", "reward=coarse+brief", search_path, TRUSTED)
    assert list(build(cfg, "reward").terms) == ["coarse", "brief"]


def test_a_reward_of_a_stranger_is_refused(written, composed):
    cfg = composed("train", "reward=brief", f"hydra.searchpath=[file://{written('add_reward.md')}/configs]")
    with pytest.raises(
        ValueError, match=r"reward\.terms\.brief\._target_=mine\.rewards\.Brief is outside the packages"
    ):
        build(cfg, "reward")


def test_a_wrong_option_is_refused_by_its_path(written, composed):
    search_path = f"hydra.searchpath=[file://{written('add_reward.md')}/configs]"
    cfg = composed("train", "reward=brief", search_path, TRUSTED, "reward.terms.brief.weight=0.1")
    with pytest.raises(ValueError, match=r"^reward\.terms\.brief\.weight is 0\.1: expected a number of at most 0$"):
        build(cfg, "reward")


def test_the_pages_own_test_passes(written, run_tests):
    assert "3 passed" in run_tests(written("add_reward.md"))
