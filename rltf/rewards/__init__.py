"""Verdicts become credits: one reward term a file. On plain texts, without a run of `rltf`: `rewards.score`.

Names are imported on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rltf.rewards.adaptive import Adaptive
    from rltf.rewards.binary import Binary
    from rltf.rewards.coarse import Coarse
    from rltf.rewards.pass_first import PassFirst
    from rltf.rewards.text import make, score, values

__all__ = ["Adaptive", "Binary", "Coarse", "PassFirst", "make", "score", "values"]

_MODULES = {
    "Adaptive": "rltf.rewards.adaptive",
    "Binary": "rltf.rewards.binary",
    "Coarse": "rltf.rewards.coarse",
    "PassFirst": "rltf.rewards.pass_first",
    "make": "rltf.rewards.text",
    "score": "rltf.rewards.text",
    "values": "rltf.rewards.text",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_MODULES[name]), name)
