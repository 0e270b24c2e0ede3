"""Whether test text leaves the process as it was, so that the next program's tests can run in the same one.

Text is trusted not to be hostile, but it may well set a decimal context, a seed or a recursion limit, patch a module,
or evaluate a program's answer. Whatever is not known to be harmless runs in a process of its own.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Set
from functools import lru_cache

from rltf.execution.grader.names import WELL_KNOWN
from rltf.execution.text_names import nodes_of

_MODULES = """
abc array base64 bisect cmath collections copy dataclasses datetime decimal enum fractions functools hashlib heapq
itertools json math numbers numpy operator re statistics string struct textwrap typing
"""
_STATEFUL = """
eval exec compile open __import__ globals locals vars setattr delattr getattr attrgetter methodcaller input breakpoint
help exit quit getcontext setcontext localcontext DefaultContext BasicContext ExtendedContext random seterr seterrcall
setbufsize set_printoptions register purge singledispatch singledispatchmethod setlocale dispatch_table bltns ctypeslib
f2py save savez savez_compressed savetxt tofile dump memmap fromfile gi_frame cr_frame ag_frame tb_frame f_back
f_globals f_locals f_builtins
"""
_DUNDERS = """
__name__ __doc__ __class__ __len__ __init__ __eq__ __repr__ __str__ __iter__ __next__ __hash__ __call__ __lt__ __main__
__getitem__ __contains__ __annotations__
"""
MODULES = frozenset(_MODULES.split())
"""Modules whose functions keep no state, but for those in `STATEFUL`."""
STATEFUL = frozenset(_STATEFUL.split())
"""Names of what leaves traces, runs text, or leads by text or frames to what does."""
DUNDERS = frozenset(_DUNDERS.split())
"""Names with underscores on both sides that are harmless."""
_LIBRARY = frozenset(sys.stdlib_module_names | WELL_KNOWN.keys())
_IMPURE_MODULES = frozenset(sys.stdlib_module_names - MODULES)


@lru_cache(maxsize=4096)
def is_pure(text: str) -> bool:
    """True for text that changes nothing outside its own names; False where that is not certain.

    >>> is_pure("import math\\nassert math.isclose(f(1), 2)"), is_pure("import random\\nrandom.seed(1)")
    (True, False)
    >>> is_pure("m = math\\nm.pi = 3"), is_pure("class A:\\n    def __init__(self): self.x = math.pi")
    (False, True)
    """
    try:
        nodes = nodes_of(ast.parse(text))
    except Exception:
        return False  # it may yet run, if it is nested too deep for a tree alone
    modules, impure = set(_LIBRARY), set(_IMPURE_MODULES)
    for node in nodes:  # an import alone is harmless, what is done with an import may not be
        if isinstance(node, ast.Import | ast.ImportFrom):
            for alias in node.names:
                if not _add_import(node, alias, modules, impure):
                    return False
    return all(_is_harmless(node, modules, impure) for node in nodes) and not _may_change_alias(nodes, modules)


def _add_import(node: ast.Import | ast.ImportFrom, alias: ast.alias, modules: set[str], impure: set[str]) -> bool:
    """Notes what an import binds; False where it matters by itself."""
    path = alias.name.split(".") if isinstance(node, ast.Import) else (node.module or "").split(".")
    name = alias.asname or alias.name.partition(".")[0]
    modules.add(name)
    is_pure_module = path[0] in MODULES
    if not is_pure_module and (len(path) > 1 or name == "*"):  # a part of a package is there for others, too
        return False
    if not is_pure_module or any(part in STATEFUL or part in _IMPURE_MODULES for part in (*path[1:], alias.name)):
        impure.add(name)
    return True


def _is_harmless(node: ast.AST, modules: Set[str], impure: Set[str]) -> bool:
    if isinstance(node, ast.Attribute):
        if _root(node) in modules and (
            not isinstance(node.ctx, ast.Load) or node.attr in _IMPURE_MODULES or node.attr.startswith("_")
        ):
            return node.attr in DUNDERS and isinstance(node.ctx, ast.Load)
        return node.attr not in STATEFUL and _is_harmless_name(node.attr)
    if isinstance(node, ast.Subscript):
        return isinstance(node.ctx, ast.Load) or not isinstance(node.value, ast.Attribute) or _root(node) not in modules
    if isinstance(node, ast.Name):
        return node.id not in STATEFUL and node.id not in impure and _is_harmless_name(node.id)
    return not isinstance(node, ast.FunctionDef) or node.name != "__del__"  # which runs at any time


def _may_change_alias(nodes: list[ast.AST], modules: Set[str]) -> bool:
    """True for text that sets attributes of anything but `self`, and in which a module, a class or a function of one
    goes by another name: the two may be the same."""
    changed = [n for n in nodes if isinstance(n, ast.Attribute) and not isinstance(n.ctx, ast.Load)]
    roots = {_root(node) for node in changed}
    if roots <= {"self"} and not any(_names_class(node) for node in changed):
        return False
    if "" in roots or any(_names_class(node) for node in changed):
        return True
    used = {id(child) for node in nodes for child in _used_in_place(node)}
    return any(
        isinstance(node, ast.Name | ast.Attribute)
        and id(node) not in used
        and isinstance(node.ctx, ast.Load)
        and (_root(node) in modules or (isinstance(node, ast.Name) and node.id == "type"))
        for node in nodes
    )


def _names_class(node: ast.expr) -> bool:
    while isinstance(node, ast.Attribute | ast.Subscript):
        if isinstance(node, ast.Attribute) and node.attr == "__class__":
            return True
        node = node.value
    return False


def _used_in_place(node: ast.AST) -> list[ast.AST | None]:
    """Parts of a node that are used there and then, and not kept by any name."""
    match node:
        case ast.Attribute() | ast.Subscript():
            return [node.value]
        case ast.Call():
            return [] if isinstance(node.func, ast.Name) and node.func.id == "type" else [node.func]
        case ast.ClassDef():
            return [*node.bases, *node.decorator_list]
        case ast.FunctionDef():
            return [node.returns, *node.decorator_list]
        case ast.arg() | ast.AnnAssign():
            return [node.annotation]
        case ast.ExceptHandler():
            return [node.type]
    return []


def _root(node: ast.expr) -> str:
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _is_harmless_name(name: str) -> bool:
    return not (name.startswith("__") and name.endswith("__")) or name in DUNDERS
