"""Numbers of tiny runs are those of the golden files (`golden.py` says when they may change)."""

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def test_metrics_programs_and_weights_are_the_golden_ones():
    for package, golden in json.loads((HERE / "versions.json").read_text()).items():
        if version(package) != golden:
            pytest.skip(f"golden numbers belong to {package} {golden}")
    done = subprocess.run(
        [sys.executable, str(HERE / "golden.py")], capture_output=True, text=True, timeout=800, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
