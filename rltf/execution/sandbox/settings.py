"""How the sandbox of a program is made, and what its processes are handed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True)
class SandboxSettings:
    """How the sandbox of a program is made."""

    source: str
    """Folder that holds the package `rltf`."""
    runtimes: Mapping[str, str] = field(default_factory=dict)
    """Those that are installed -> where (`rltf.execution.languages.installed_runtimes`)."""
    scratch_mb: int = 16
    """All files of a program together, and each of them."""
    tasks: int = 24
    """Processes and threads of a program."""
    hash_seed: int = 0
    """Of the hashes of texts, on which the order of sets hangs."""
    without: tuple[str, ...] = ()
    """Layers left out: `namespaces`, `landlock`, `seccomp`, `cgroup`."""


class SharedMemory(Protocol):
    """Memory that a program's process is given by its descriptor."""

    fd: int
