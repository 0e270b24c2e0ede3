"""Whether test text leaves the process as it was, so that the next program's tests can run in the same one.

Text is trusted not to be hostile, but it may well set a decimal context, a seed or a recursion limit, patch a module,
or evaluate a program's answer. Whatever is not known to be harmless runs in a process of its own.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Set
from functools import lru_cache

_MODULES = """
abc array base64 bisect cmath collections copy dataclasses datetime decimal enum fractions functools hashlib heapq
itertools json math numbers numpy operator re statistics string struct textwrap typing
"""
_STATEFUL = """
eval exec compile open __import__ globals vars setattr delattr input breakpoint getcontext setcontext localcontext
DefaultContext BasicContext ExtendedContext random seterr seterrcall set_printoptions register purge singledispatch
setlocale
"""
_DUNDERS = """
__name__ __doc__ __class__ __len__ __init__ __eq__ __repr__ __str__ __iter__ __next__ __hash__ __call__ __lt__ __main__
__getitem__ __contains__ __annotations__
"""
MODULES = frozenset(_MODULES.split())
"""Modules whose functions keep no state, but for those in `STATEFUL`."""
STATEFUL = frozenset(_STATEFUL.split())
"""Names of what leaves traces, or runs text."""
DUNDERS = frozenset(_DUNDERS.split())
"""Names with underscores on both sides that are harmless."""


@lru_cache(maxsize=4096)
def is_pure(text: str) -> bool:
    """True for text that changes nothing outside its own names; False where that is not certain.

    >>> is_pure("import math\\nassert math.isclose(f(1), 2)"), is_pure("import random\\nrandom.seed(1)")
    (True, False)
    """
    try:
        nodes = list(ast.walk(ast.parse(text)))
    except Exception:
        return True  # it will not run
    modules, others = set(sys.stdlib_module_names), set(sys.stdlib_module_names - MODULES)
    for node in nodes:  # an import alone is harmless, what is done with an import may not be
        if isinstance(node, ast.Import | ast.ImportFrom):
            for alias in node.names:
                source = alias.name if isinstance(node, ast.Import) else node.module or ""
                name = alias.asname or alias.name.partition(".")[0]
                modules.add(name)
                if source.partition(".")[0] not in MODULES:
                    if name == "*":
                        return False
                    others.add(name)
    return all(_is_harmless(node, modules, others) for node in nodes)


def _is_harmless(node: ast.AST, modules: Set[str], others: Set[str]) -> bool:
    if isinstance(node, ast.Attribute):
        if not isinstance(node.ctx, ast.Load) and _root(node) in modules:
            return False
        return node.attr not in STATEFUL and _is_harmless_name(node.attr)
    if isinstance(node, ast.Name):
        return node.id not in STATEFUL and node.id not in others and _is_harmless_name(node.id)
    return True


def _root(node: ast.expr) -> str:
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _is_harmless_name(name: str) -> bool:
    return not (name.startswith("__") and name.endswith("__")) or name in DUNDERS
