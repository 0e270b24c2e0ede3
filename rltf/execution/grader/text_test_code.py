"""Test text (`assert ...`, `def check(candidate): ...`) prepared for running in the judge."""

from __future__ import annotations

import ast
import builtins
import re
import symtable
import sys
from collections.abc import Iterable, Mapping, Set
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from types import CodeType
from typing import Any

from rltf.execution.grader import small_pytest
from rltf.execution.grader.names import WELL_KNOWN, TestNames, well_known
from rltf.execution.grader.program_link import ProgramLink
from rltf.execution.grader.requests import Requests
from rltf.execution.text_names import nodes_of
from rltf.execution.values.shared_objects import JUDGE, SharedObjects, classes_of

_BUILTIN = frozenset(vars(builtins))
_PATCHES = re.compile(r"\b(monkey)?patch\b")


@dataclass(frozen=True)
class CompiledText:
    """Compiled test text and its free names."""

    code: CodeType
    names: frozenset[str]
    """Global names that it reads and does not bind."""
    modules: frozenset[str]
    """Those of `names` that it uses as modules (`math.isclose`)."""
    called: frozenset[str]
    """Those of `names` that it calls and does nothing else with."""
    patches: bool
    """It replaces something (`unittest.mock.patch`) that the program is meant to use."""


@lru_cache(maxsize=4096)
def compile_text(text: str) -> CompiledText:
    """Compiles test text.

    Raises:
        SyntaxError: It does not compile.
    """
    if "pytest" in text:
        small_pytest.install()
    code = compile(text, "<test>", "exec", dont_inherit=True)
    names = frozenset(_free_names(symtable.symtable(text, "<test>", "exec")))
    modules, called = names & sys.stdlib_module_names, frozenset[str]()
    if names - _BUILTIN:
        nodes = nodes_of(ast.parse(text))
        modules &= {n.value.id for n in nodes if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name)}
        functions = [n.func for n in nodes if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)]
        used = {n.id for n in set(nodes).difference(functions) if isinstance(n, ast.Name)}
        called = names & {n.id for n in functions if isinstance(n, ast.Name)} - used
    return CompiledText(code, names, modules, called, _PATCHES.search(text) is not None and "mock" in text)


def _free_names(table: symtable.SymbolTable) -> set[str]:
    """Global names that a text reads and does not bind itself."""
    symbols = table.get_symbols()
    names = {s.get_name() for s in symbols if s.is_referenced() and s.is_global()}
    names = names.union(*map(_free_names, table.get_children()))
    if table.get_type() == "module":
        names -= {s.get_name() for s in symbols if s.is_assigned() or s.is_imported()}
    return names


@lru_cache(maxsize=4096)
def needs_program(setup: str) -> bool:
    """True for setup code that uses names which only the program can define (MBPP builds trees of its class `Node`)."""
    try:
        exec(compile_text(setup).code, {"__builtins__": builtins, "__name__": "test"})
    except NameError:
        return True
    except BaseException:  # it may even exit
        return False
    return False


def builtin_under_test(asserts: Iterable[str], bound: Set[str]) -> str | None:
    """The builtin, or other well-known name, that the task's function bears: the only one that every `assert` calls,
    where none of them names anything else that a program could define. None for all other tests. The order of the tests
    plays no part.

    Args:
        asserts: All `assert` tests of a task.
        bound: Names that the task's setup defines.

    >>> builtin_under_test(["assert sum(10, 15) == 6", "assert abs(sum(100, 150) - 93) < 1"], set())
    'sum'
    >>> builtin_under_test(["assert abs(f(1)) == 1"], set()), builtin_under_test(["assert abs(sum(1, 2)) == 3"], set())
    (None, None)
    >>> builtin_under_test(["assert isclose(1, 2) is False"], set())
    'isclose'
    """
    library_names = _BUILTIN | WELL_KNOWN.keys()
    called: set[str] | None = None
    for code in asserts:
        try:
            text = compile_text(code)
            if text.names - library_names - text.modules - bound:
                return None
            tree_nodes = nodes_of(ast.parse(code))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None  # it will fail as a test, and no other with it
        expected_to_fail = set(nodes_of(*(block for block in tree_nodes if isinstance(block, ast.With))))
        calls = (n.func for n in set(tree_nodes) - expected_to_fail if isinstance(n, ast.Call))
        names = {f.id for f in calls if isinstance(f, ast.Name)} & text.names & (library_names - bound)
        called = names if called is None else called & names
    return called.pop() if called and len(called) == 1 else None


def names_after(text: str, functions: Mapping[str, Any]) -> dict[str, Any]:
    """The global names that test text leaves, run with these functions and the modules that it uses, and no program.

    Raises:
        BaseException: Whatever the text raises.
    """
    compiled = compile_text(text)
    values: dict[str, Any] = {"__builtins__": builtins, "__name__": "test", **functions}
    values |= {name: import_module(name) for name in compiled.modules}
    exec(compiled.code, values)
    return values


class Scope:
    """The global names that test text sees: those of the setup, the judge's modules, and stand-ins for the program's.

    A program can add names, never replace one: builtins, modules and well-known names of the library (`isclose`,
    `Counter`) stay the judge's. One exception: a task whose function is named like one of these (MBPP has a `sum`), as
    far as its `assert`s show that (`builtin_under_test`).

    Args:
        requests: To the program's process.
        setup: Setup code of the task.
        asserts: All `assert` tests of the task, whether they run in this scope or not; none where it has `check` tests.
    """

    def __init__(self, requests: Requests, setup: str, asserts: Iterable[str]) -> None:
        self.values = TestNames()
        self._late_setup = setup if needs_program(setup) else ""
        if setup and not self._late_setup:
            with suppress(BaseException):  # the child ran the same text before, and would have said so
                exec(compile_text(setup).code, self.values)
        self._named: set[str] = set()
        self.link = ProgramLink(requests, SharedObjects(classes_of(self.values), JUDGE), self._named)
        self.values.program = self.link
        if not self._late_setup and (task := builtin_under_test(asserts, self.values.keys())) is not None:
            self.values.lend(task)
        if setup and not self._late_setup:
            self._bind(compile_text(setup))

    def run(self, text: str) -> None:
        """Runs test text; before the first, setup code that builds on the program."""
        setup, self._late_setup = self._late_setup, ""
        for compiled in map(compile_text, (setup, text) if setup else (text,)):
            self._bind(compiled)
            exec(compiled.code, self.values)

    def close(self) -> None:
        """Drops all values at once, since a cycle of functions and names may hold much memory until it is found."""
        self.link.close()
        self.values.clear()

    def _bind(self, text: CompiledText) -> None:
        """Binds every free name of `text` to a module of the judge or to what the program has by it."""
        if text.patches:
            self.link.patched = True
        free = text.names - self.values.keys()
        for name in free & _BUILTIN:
            self.values[name] = getattr(builtins, name)  # which is found sooner than by `TestNames.__missing__`
        free -= _BUILTIN
        for name in free:
            if name in text.modules:
                self.values[name] = import_module(name)
            elif name in WELL_KNOWN:
                try:
                    self.values[name] = well_known(name)
                except ImportError:
                    self.link.give_up(f"the test uses {name}, which the judge does not have")
            elif name in text.called:
                self.values.lend(name)
        self._named |= free
