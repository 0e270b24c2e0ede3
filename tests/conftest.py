"""Fixtures that several rooms share."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

ROOT = Path(__file__).parents[1]

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ["WANDB_MODE"] = "offline"
os.environ["HF_HUB_OFFLINE"] = "1"

# how long an example takes is the machine's matter, not the test's
hypothesis.settings.register_profile("rltf", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("rltf")


@pytest.fixture(autouse=True)
def torch_threads() -> Iterator[None]:
    """At most two threads of torch in every test: there are no compiled kernels with more than four. The number that a
    test sets is undone."""
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(min(2, torch.get_num_threads()))
        threads = torch.get_num_threads()
    yield
    if torch is not None:
        torch.set_num_threads(threads)


@pytest.fixture
def composed(tmp_path: Path) -> Callable[..., DictConfig]:
    """The config of a command: `composed("train", "model=tiny_t5", ...)`; its run folder is below `tmp_path`."""

    def make(name: str, *overrides: str) -> DictConfig:
        with initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
            return compose(name, [f"paths.output_dir={tmp_path / 'run'}", *overrides])

    return make


@pytest.fixture
def shared_data() -> Path:
    """Folder of real problems, beside the checkout or named by RLTF_SHARED_DATA; the test is skipped without it."""
    folder = Path(os.environ.get("RLTF_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("no shared data beside this checkout (RLTF_SHARED_DATA names another place)")
    return folder


@pytest.fixture
def smooth_units(monkeypatch: pytest.MonkeyPatch) -> None:
    """T5's feed-forward units without a kink: a ReLU within rounding of zero may open on one side of a comparison only,
    which moves a gradient by a ten-thousandth."""
    import torch

    monkeypatch.setattr(torch.nn.ReLU, "forward", lambda self, x: torch.nn.functional.softplus(x))


@pytest.fixture
def no_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk without room."""
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1))
