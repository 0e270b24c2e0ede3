"""Test text (`assert ...`, `def check(candidate): ...`) prepared for running in the judge."""

from __future__ import annotations

import ast
import builtins
import symtable
import sys
from collections.abc import Iterable, Set
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from types import CodeType
from typing import Any

from rltf.execution.judge.stand_ins import Ask, ChildLink, RemoteProxy
from rltf.execution.values.shared_objects import JUDGE, Shared, classes_of

_BUILTIN = frozenset(vars(builtins))


@dataclass(frozen=True)
class Text:
    """Compiled test text and the names it takes from elsewhere."""

    code: CodeType
    names: frozenset[str]
    modules: frozenset[str]
    """Those of the names that it uses as modules (`math.isclose`) and does not import."""


@lru_cache(maxsize=4096)
def prepare(text: str) -> Text:
    """Compiles test text.

    Raises:
        SyntaxError: It does not compile.
    """
    code = compile(text, "<test>", "exec", dont_inherit=True)
    names = frozenset(_names(symtable.symtable(text, "<test>", "exec")))
    modules = names & sys.stdlib_module_names
    if modules:
        dotted = (n.value for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Attribute))
        modules &= {n.id for n in dotted if isinstance(n, ast.Name)}
    return Text(code, names, modules)


def _names(table: symtable.SymbolTable) -> set[str]:
    """Global names that are read, but for those that the text itself binds."""
    symbols = table.get_symbols()
    found = {s.get_name() for s in symbols if s.is_referenced() and s.is_global()}
    found = found.union(*map(_names, table.get_children()))
    if table.get_type() == "module":
        found -= {s.get_name() for s in symbols if s.is_assigned() or s.is_imported()}
    return found


@lru_cache(maxsize=4096)
def needs_program(setup: str) -> bool:
    """True for setup code that names what only the program can define (MBPP builds trees of its class `Node`)."""
    try:
        exec(prepare(setup).code, {"__builtins__": builtins, "__name__": "test"})
    except NameError:
        return True
    except Exception:
        return False
    return False


def builtin_under_test(asserts: Iterable[str], bound: Set[str]) -> str | None:
    """The builtin whose name the task's function bears: the only one that every `assert` calls, where none of them
    names anything else that a program could define. None for all other tests. The order of the tests plays no part.

    Args:
        asserts: All `assert` tests of a task.
        bound: Names that the task's setup defines.

    >>> builtin_under_test(["assert sum(10, 15) == 6", "assert abs(sum(100, 150) - 93) < 1"], set())
    'sum'
    >>> builtin_under_test(["assert abs(f(1)) == 1"], set()), builtin_under_test(["assert abs(sum(1, 2)) == 3"], set())
    (None, None)
    """
    called: set[str] | None = None
    for code in asserts:
        try:
            text = prepare(code)
            if text.names - _BUILTIN - text.modules - bound:
                return None
            tree = ast.parse(code)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None  # it will fail as a test, and no other with it
        calls = (n.func for n in ast.walk(tree) if isinstance(n, ast.Call))
        names = {f.id for f in calls if isinstance(f, ast.Name)} & text.names & (_BUILTIN - bound)
        called = names if called is None else called & names
    return called.pop() if called and len(called) == 1 else None


class Scope:
    """The global names that test text sees: the task's own, the judge's modules, and stand-ins for the program's.

    A program can lend a name to the tests, never take one: builtins and modules stay the judge's. One exception: a task
    whose function is named like a builtin (MBPP has a `sum`), as far as its `assert`s show that (`builtin_under_test`).

    Args:
        ask: The way to the program.
        setup: The task's.
        asserts: All `assert` tests of the task, whether they run in this scope or not; none where it has `check` tests.
    """

    def __init__(self, ask: Ask, setup: str, asserts: Iterable[str]) -> None:
        self.values: dict[str, Any] = {"__builtins__": builtins, "__name__": "test"}
        self._late = setup if needs_program(setup) else ""
        if setup and not self._late:
            with suppress(Exception):  # the child ran the same text before, and would have said so
                exec(prepare(setup).code, self.values)
        self.border = ChildLink(ask, Shared(classes_of(self.values), JUDGE))
        if not self._late and (task := builtin_under_test(asserts, self.values.keys())) is not None:
            self.values[task] = RemoteProxy(self.border, task)

    def run(self, text: str) -> None:
        """Runs test text; what of the setup builds on the program comes before the first."""
        late, self._late = self._late, ""
        for prepared in map(prepare, (late, text) if late else (text,)):
            self._bind(prepared)
            exec(prepared.code, self.values)

    def _bind(self, text: Text) -> None:
        """Makes every name of `text` available that the judge can have itself or take from the program."""
        for name in text.names - _BUILTIN - self.values.keys():
            if name in text.modules:
                self.values[name] = import_module(name)
            else:
                self.values[name] = RemoteProxy(self.border, name)
