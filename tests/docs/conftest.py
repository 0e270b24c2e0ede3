"""The files of a page that adds something, in a folder of the user's own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pages import ROOT, write_files

OWN_PACKAGE = "mine"


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Path]]:
    """`written("add_reward.md")`: the folder with the page's files, on the import path."""

    def forget() -> None:
        for name in [name for name in sys.modules if name.partition(".")[0] == OWN_PACKAGE]:
            del sys.modules[name]

    def write(page: str) -> Path:
        write_files(ROOT / "docs" / page, tmp_path)
        monkeypatch.syspath_prepend(str(tmp_path))
        return tmp_path

    forget()
    yield write
    forget()


@pytest.fixture
def run_tests() -> Callable[[Path], str]:
    """Runs the page's own tests in its folder, as its reader would; their summary."""

    def run(folder: Path) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"],
            cwd=folder,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": str(folder)},
            check=False,
            timeout=600,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run
