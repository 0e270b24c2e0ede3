"""The imports of a file that mined functions may use."""

from __future__ import annotations

import ast
import sys
from collections.abc import Collection
from functools import lru_cache
from importlib import import_module

NOT_FOR_VALUES = frozenset({"random", "time", "os", "sys", "datetime", "uuid", "secrets", "socket", "subprocess"})
"""Modules whose functions answer by more than their arguments; they are refused whatever is allowed."""


def imports_of(tree: ast.Module, allowed: Collection[str]) -> dict[str, str]:
    """Name -> the statement that binds it, for top-level imports of allowed modules.

    Of `from m import *` the names are those that this Python's own module `m` has; other modules are never imported
    here, so that a star of theirs binds nothing.

    >>> imports_of(ast.parse("import math, os\\nfrom math import gcd as g"), ["math"])["g"]
    'from math import gcd as g'
    """
    bound: dict[str, str] = {}
    for statement in tree.body:
        if isinstance(statement, ast.Import):
            for alias in statement.names:
                if alias.name in allowed and alias.name.partition(".")[0] not in NOT_FOR_VALUES:
                    line = f"import {alias.name}" + (f" as {alias.asname}" if alias.asname else "")
                    bound[alias.asname or alias.name.partition(".")[0]] = line
        elif isinstance(statement, ast.ImportFrom) and not statement.level:
            module = statement.module or ""
            if module not in allowed or module.partition(".")[0] in NOT_FOR_VALUES:
                continue
            for alias in statement.names:
                names = _star_names(module) if alias.name == "*" else (alias.asname or alias.name,)
                renamed = f" as {alias.asname}" if alias.asname else ""
                for name in names:
                    source = name if alias.name == "*" else alias.name
                    bound[name] = f"from {module} import {source}{renamed}"
    return bound


@lru_cache(maxsize=64)
def _star_names(module: str) -> tuple[str, ...]:
    if module.partition(".")[0] not in sys.stdlib_module_names:
        return ()
    try:
        loaded = import_module(module)
    except ImportError:
        return ()
    return tuple(getattr(loaded, "__all__", [name for name in vars(loaded) if not name.startswith("_")]))
