"""Online reinforcement learning of code language models from unit-test feedback (RLTF, arXiv 2307.04349).

Without a run: `from rltf import Judge, rewards` judges and rewards plain texts. Names are imported on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rltf.service.judge import Judge
    from rltf.service.remote import RemoteJudge

__all__ = ["Judge", "RemoteJudge"]

__version__ = "0.2.0"

_MODULES = {"Judge": "rltf.service.judge", "RemoteJudge": "rltf.service.remote"}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_MODULES[name]), name)
