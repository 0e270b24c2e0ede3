"""Test text (`assert ...`, `def check(candidate): ...`) prepared for running in the judge."""

from __future__ import annotations

import ast
import builtins
import symtable
import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from types import CodeType
from typing import Any

from rltf.execution.remote import Ask, Border, Remote
from rltf.execution.shared import JUDGE, Shared, classes_of

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


class Scope:
    """The global names that test text sees: the task's own, the judge's modules, and stand-ins for the program's.

    A program can lend a name to the tests, never take one: builtins and modules stay the judge's. One exception: tests
    that name nothing but builtins call the program's function of that name (MBPP has a task whose function is `sum`).
    """

    def __init__(self, ask: Ask, setup: str, own_builtins: Iterable[str]) -> None:
        self._own = frozenset(own_builtins)
        self.values: dict[str, Any] = {"__builtins__": builtins, "__name__": "test"}
        self._late = setup if needs_program(setup) else ""
        if setup and not self._late:
            with suppress(Exception):  # the child ran the same text before, and would have said so
                exec(prepare(setup).code, self.values)
        self.border = Border(ask, Shared(classes_of(self.values), JUDGE))

    def run(self, text: str) -> None:
        """Runs test text; what of the setup builds on the program comes before the first."""
        late, self._late = self._late, ""
        for prepared in map(prepare, (late, text) if late else (text,)):
            self._bind(prepared)
            exec(prepared.code, self.values)

    def _bind(self, text: Text) -> None:
        """Makes every name of `text` available that the judge can have itself or take from the program."""
        lent = [n for n in text.names if n not in self.values and n not in _BUILTIN]
        for name in lent:
            if name in text.modules:
                self.values[name] = import_module(name)
            else:
                self.values[name] = Remote(self.border, name)
        if not lent and not any(isinstance(v, Remote) for v in self.values.values()):
            for name in text.names & self._own:
                self.values[name] = Remote(self.border, name)
