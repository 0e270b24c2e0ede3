"""Untrusted programs against unit tests, in a sandbox of our own.

Names are imported on first use: the processes inside the sandbox import this package too, and stay small.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rltf.execution.cluster.executor import RayExecutor
    from rltf.execution.executor import Executor
    from rltf.execution.local import LocalExecutor

__all__ = ["Executor", "LocalExecutor", "RayExecutor"]

_HOME = {
    "Executor": "rltf.execution.executor",
    "LocalExecutor": "rltf.execution.local",
    "RayExecutor": "rltf.execution.cluster.executor",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOME[name]), name)
