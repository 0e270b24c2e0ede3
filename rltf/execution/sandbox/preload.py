"""What a zygote imports for its programs, and what it takes out of its interpreter before there is any."""

from __future__ import annotations

import builtins
import importlib
import os
import sys
from _sitebuiltins import Quitter
from collections.abc import Callable

from rltf.execution.sandbox.control import START_ENVIRONMENT

PRELOAD = (
    "abc",
    "array",
    "bisect",
    "cmath",
    "collections.abc",
    "contextlib",
    "copy",
    "dataclasses",
    "datetime",
    "decimal",
    "enum",
    "fractions",
    "functools",
    "hashlib",
    "heapq",
    "io",
    "itertools",
    "json",
    "math",
    "numbers",
    "operator",
    "os",
    "random",
    "re",
    "statistics",
    "string",
    "struct",
    "sys",
    "time",
    "traceback",
    "types",
    "typing",
    "threading",
    "queue",
)
"""Imported once here, so that programs find them loaded."""

_OUR_MODULES = (
    "rltf.execution.inside.runner",
    "rltf.execution.inside.semaphores",
    "rltf.execution.inside.thread_stacks",
)
"""Imported before `PRELOAD`: memory that compiling them leaves free is filled again, and forks copy less."""


def preload(module: str | None, folder: str | None) -> list[Callable[[], object]]:
    """Imports what programs need, and a module of `folder`; returns the hooks that those modules registered for forked
    processes.

    They are not called in our own forks: `random` would seed itself anew and `threading` look for lost threads, a third
    of what a fork costs. They are registered again in programs, for the forks of theirs.
    """
    after_fork: list[Callable[[], object]] = []
    register = os.register_at_fork
    os.register_at_fork = lambda **hooks: after_fork.append(hooks["after_in_child"])
    try:
        for name in (*_OUR_MODULES, *PRELOAD):
            importlib.import_module(name)
    finally:
        os.register_at_fork = register
    sys.modules["random"].seed(0)  # verdicts do not depend on luck
    for name, key in (("exit", "Ctrl-D (i.e. EOF)"), ("quit", "Ctrl-D (i.e. EOF)")):  # `site` is not loaded
        setattr(builtins, name, Quitter(name, key))
    if module and folder:
        sys.path.append(folder)
        importlib.import_module(module)
    return after_fork


def forget_start() -> None:
    """Takes out of the interpreter what programs could learn of the host from the way it was started."""
    sys.argv, sys.orig_argv = [""], [sys.executable]
    for name in START_ENVIRONMENT:
        os.environ.pop(name, None)
    main_module = vars(sys.modules["__main__"])
    for name in [name for name in main_module if not name.startswith("__")]:
        del main_module[name]


def forget_us(source: str, folder: str | None) -> None:
    """Takes our modules out of the interpreter, and the paths at which modules other than the library's were found."""
    for path in (source, folder):
        if path in sys.path:
            sys.path.remove(path)
        sys.path_importer_cache.pop(path or "", None)
    for folder in [f for f in sys.path_importer_cache if f.startswith(source)]:
        del sys.path_importer_cache[folder]
    for name in [n for n in sys.modules if n.partition(".")[0] == "rltf"]:
        del sys.modules[name]
