"""Static checks of a program's text, which is never run: the compiler, pyflakes, and checks of what was asked for.

RLCF (arXiv 2305.18341) checks Java with a compiler and a static analyser; these are checks of Python that find what
those find there: names that are not defined or not yet bound, functions or results that are missing, calls that cannot
be made, and statements, names and imports without use.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, get_args

from rltf.benchmarks.asserts import parse
from rltf.grounding.calls import impossible_calls
from rltf.grounding.flow import ends_with_value, own_nodes, unreachable_lines
from rltf.validation import OptionError, nearest, require

Level = Literal["hard", "soft", "ignore"]
Returns = Literal["some", "all"]

LEVELS: Mapping[str, Level] = {
    "syntax": "hard",
    "undefined": "hard",
    "entry": "hard",
    "value": "hard",
    "arity": "hard",
    "unbound": "hard",
    "unreachable": "soft",
    "unused": "soft",
    "shadowed": "soft",
}
"""Check -> whether a violation fails the program (`hard`), costs something (`soft`) or nothing (`ignore`)."""
MEANINGS: Mapping[str, str] = {
    "syntax": "does not compile, or is too long or too deeply nested to be checked",
    "undefined": "a name that is nowhere defined, or a star import, which hides such names",
    "entry": "the function asked for is missing; a whole program prints nothing",
    "value": "the function asked for returns no value",
    "arity": "a call of a function of the program with arguments that it does not take",
    "unbound": "a local name that is read before it is bound",
    "unreachable": "statements behind return, raise, break or continue",
    "unused": "a local name or an import that nothing reads",
    "shadowed": "a definition that replaces one that nothing read",
}
"""Check -> what violates it."""
MOST_CHARACTERS = 20_000
"""Longer programs fail `syntax`: checks take time in proportion."""
MOST_NESTED = 200
"""Levels of a syntax tree; deeper programs fail `syntax`, so that it never hangs on the depth of the caller's stack
whether checks run into its end."""
_PYFLAKES = {
    "UndefinedName": "undefined",
    "ImportStarUsed": "undefined",
    "UndefinedLocal": "unbound",
    "UnusedVariable": "unused",
    "UnusedImport": "unused",
    "RedefinedWhileUnused": "shadowed",
}
"""Class of a message of pyflakes -> check."""


class TooLarge(Exception):
    """A program that is too long or too deeply nested to be checked."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One violation of a check."""

    check: str
    line: int | None
    """First line of the program, 1-based; None: the whole program."""


@dataclass(frozen=True, slots=True)
class Task:
    """What a program is checked against; nothing of it is a test."""

    entry_point: str | None = None
    """The function that was asked for, at top level or a method of `class Solution`; None: a program that prints."""
    setup: str = ""
    """Code that runs before the program, whose names are defined."""
    asks: bool = True
    """False: it is not known what was asked for, so `entry` and `value` are not checked."""


def read_levels(checks: Mapping[str, Any] | None) -> dict[str, Level]:
    """The level of every check: those given, in place of the defaults.

    Raises:
        OptionError: an unknown check or level.
    """
    if checks is not None and not isinstance(checks, Mapping):
        raise OptionError("checks", checks, "a table of check: level")
    for name, level in (checks or {}).items():
        if name not in LEVELS:
            near = nearest(str(name), LEVELS, count=1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            raise OptionError(f"checks.{name}", level, f"a check among {', '.join(LEVELS)}{hint}")
        require(f"checks.{name}", level, choices=get_args(Level))
    return {**LEVELS, **(checks or {})}


@lru_cache(maxsize=8192)
def violations(program: str, task: Task, returns: Returns = "some") -> tuple[Violation, ...]:
    """All violations of a program, in the order of checks; only `syntax` where it does not compile.

    Args:
        program: its text.
        task: what was asked for.
        returns: `value` asks for a value on `some` path through the function, or on `all`.

    Example:
        >>> violations("def f(x):\\n    y = x\\n    return z", Task("f"))
        (Violation(check='undefined', line=3), Violation(check='unused', line=2))
        >>> violations("def f(x:\\n    return x", Task("f"))
        (Violation(check='syntax', line=1),)
    """
    try:
        tree = _compiled(program)
        results = {*_pyflakes_violations(tree, task.setup), *_own_violations(tree, task, returns)}
    except SyntaxError as error:
        return (Violation("syntax", error.lineno),)
    except (TooLarge, RecursionError, MemoryError):
        return (Violation("syntax", None),)
    order = list(LEVELS)
    return tuple(sorted(results, key=lambda v: (order.index(v.check), v.line or 0)))


def _compiled(program: str) -> ast.Module:
    """The syntax tree of a program that compiles.

    Raises:
        SyntaxError, RecursionError, MemoryError: it does not.
        TooLarge: it is too long or too deeply nested to be checked.
    """
    if len(program) > MOST_CHARACTERS:
        raise TooLarge
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # `"\d"`, `1 is 1`: remarks of the compiler about the program
        tree = parse(program)
        if _depth(tree) > MOST_NESTED:
            raise TooLarge
        compile(program, "<program>", "exec", dont_inherit=True)  # which finds more than the parser does
    return tree


def _depth(tree: ast.AST) -> int:
    """Levels of a tree; counting stops beyond `MOST_NESTED`."""
    level, depth = [tree], 0
    while level and depth <= MOST_NESTED:
        level = [child for node in level for child in ast.iter_child_nodes(node)]
        depth += 1
    return depth


def _pyflakes_violations(tree: ast.Module, setup: str) -> Iterator[Violation]:
    """What pyflakes remarks of a program, in which the names of its setup are defined."""
    from pyflakes import checker

    setup_tree = ast.parse(setup)
    ast.increment_lineno(setup_tree, -(setup.count("\n") + 1))  # lines of the setup come before 1
    joined = ast.Module(body=[*setup_tree.body, *tree.body], type_ignores=[])
    for message in checker.Checker(joined, filename="<program>").messages:
        check = _PYFLAKES.get(type(message).__name__)
        replaced_line = message.message_args[1] if check == "shadowed" else 1
        if check is not None and message.lineno > 0 and replaced_line > 0:
            yield Violation(check, message.lineno)


def _own_violations(tree: ast.Module, task: Task, returns: Returns) -> Iterator[Violation]:
    if task.asks and task.entry_point is None and not _prints(tree):
        yield Violation("entry", None)
    if task.asks and task.entry_point is not None:
        bindings = _bindings(tree, task.entry_point)
        if not bindings:
            yield Violation("entry", None)
        elif (line := _without_value(bindings[-1], returns)) is not None:
            yield Violation("value", line)
    yield from (Violation("arity", line) for line in impossible_calls(tree))
    yield from (Violation("unreachable", line) for line in unreachable_lines(tree))


def _prints(tree: ast.Module) -> bool:
    """Whether anything is printed or written anywhere."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id="print") | ast.Attribute(attr="write" | "writelines"):
                return True
    return False


def _bindings(tree: ast.Module, name: str) -> list[ast.AST]:
    """What binds a name at the top level of a program, or as a method of its `class Solution`, in order of lines."""
    nodes = list(own_nodes(tree))
    for node in list(nodes):
        if isinstance(node, ast.ClassDef) and node.name == "Solution":
            nodes += own_nodes(node)
    return [node for node in nodes if _binds(node, name)]


def _binds(node: ast.AST, name: str) -> bool:
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return node.name == name
        case ast.Name(ctx=ast.Store()):
            return node.id == name
        case ast.alias():
            return (node.asname or node.name) == name
    return False


def _without_value(binding: ast.AST, returns: Returns) -> int | None:
    """The line of a function that returns no value; None for another binding, which nothing can be told of, and for one
    that yields, since it returns a generator."""
    if not isinstance(binding, ast.FunctionDef | ast.AsyncFunctionDef):
        return None
    nodes = list(own_nodes(binding))
    if any(isinstance(node, ast.Yield | ast.YieldFrom) for node in nodes):
        return None
    values = [_has_value(node) for node in nodes if isinstance(node, ast.Return)]
    gives = any(values) if returns == "some" else all(values) and ends_with_value(binding.body)
    return None if gives else binding.lineno


def _has_value(node: ast.Return) -> bool:
    return node.value is not None and not (isinstance(node.value, ast.Constant) and node.value.value is None)


def levels_of(results: Sequence[Violation], levels: Mapping[str, Level], level: Level) -> list[Violation]:
    """The violations whose check has a level."""
    return [violation for violation in results if levels[violation.check] == level]
