"""What the docs and docstrings of rewards say is executed."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

import rltf.rewards

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "add-a-reward.md").read_text()
MODULES = [f"rltf.rewards.{module.name}" for module in pkgutil.iter_modules(rltf.rewards.__path__)]


def block(language: str, first_line: str) -> str:
    """The code block of the page whose first line is the given one."""
    blocks = re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)
    [found] = [text for text in blocks if text.startswith(first_line)]
    return found


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_run(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_rewards_import_without_torch():
    code = f"import sys, {', '.join(MODULES)}; assert 'torch' not in sys.modules and 'hydra' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


@pytest.fixture
def written(tmp_path, monkeypatch):
    """The page's files in a folder of the user's own."""
    (tmp_path / "my_rewards.py").write_text(block("python", "# my_rewards.py"))
    (tmp_path / "configs" / "reward").mkdir(parents=True)
    for name in ("brief", "coarse+brief"):
        (tmp_path / "configs" / "reward" / f"{name}.yaml").write_text(block("yaml", f"# configs/reward/{name}.yaml"))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "my_rewards", raising=False)
    yield tmp_path
    sys.modules.pop("my_rewards", None)


def test_the_pages_reward_composes_beside_the_ones_that_come_with_rltf(written):
    with initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
        search_path = f"hydra.searchpath=[file://{written}/configs]"
        cfg = compose(overrides=["+reward=coarse+brief", search_path])
    assert list(instantiate(cfg.reward, _convert_="all").terms) == ["coarse", "brief"]


def test_the_pages_own_test_passes(written):
    (written / "test_brief.py").write_text(block("python", "# tests/test_brief.py"))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_brief.py"],
        cwd=written,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "3 passed" in done.stdout
