"""Functions that can be mined: found by reading alone. Nothing of the source is run here.

A function is minable where it stands for itself: it reads its arguments, names of builtins and of allowed imports, and
nothing else, and gives its result back. Every other function is counted under the first reason that it meets.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rltf.benchmarks.asserts import parse
from rltf.benchmarks.structure import structure_hash
from rltf.mining.imports import imports_of

FORBIDDEN = frozenset(
    {
        *("open", "input", "print", "eval", "exec", "compile", "id", "hash", "getattr", "setattr", "delattr", "vars"),
        *("globals", "locals", "dir", "breakpoint", "exit", "quit", "__import__"),
    }
)
"""Builtins whose results hang on more than the arguments, or that act on more than the result."""
METHOD = "Solution()."
"""Prefix of the entry point of a method."""


@dataclass(frozen=True, slots=True)
class Function:
    """A function that stands for itself."""

    name: str
    source: str
    """File and line."""
    code: str
    """Its text; of a method with `class Solution:` around it."""
    setup: str
    """The imports that it needs."""
    header: str
    """Its text up to the docstring, which is its last part; up to the colon where it has none."""
    docstring: str
    node: ast.FunctionDef
    is_method: bool

    @property
    def parameters(self) -> tuple[ast.arg, ...]:
        """Its parameters, without `self`."""
        arguments = self.node.args
        return tuple([*arguments.posonlyargs, *arguments.args][self.is_method :])

    @property
    def structure(self) -> str:
        """Digest that clones share."""
        return structure_hash(self.code)


@dataclass(frozen=True, slots=True)
class Limits:
    """What is minable."""

    imports: tuple[str, ...]
    max_lines: int
    parameters: int
    docstring: str
    """`wanted`, `needed` or `ignored`."""


def functions_of(text: str, place: str, limits: Limits) -> Iterator[Function | str]:
    """Every function of a program: a `Function`, or the reason why it is none.

    Args:
        text: Python code, whatever its line ends.
        place: where it is from.
        limits: what is minable.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    try:
        tree = parse(text)
    except (SyntaxError, RecursionError, MemoryError):
        yield "no Python of this version"
        return
    imports = imports_of(tree, limits.imports)
    for statement in tree.body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            yield _read(statement, False, imports, place, limits)
        elif isinstance(statement, ast.ClassDef) and statement.name == "Solution":
            for method in statement.body:
                if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef):
                    yield _read(method, True, imports, place, limits)


def _read(
    node: ast.FunctionDef | ast.AsyncFunctionDef,
    is_method: bool,
    imports: dict[str, str],
    place: str,
    limits: Limits,
) -> Function | str:
    reason = _unfit(node, is_method, limits)
    if reason is not None or isinstance(node, ast.AsyncFunctionDef):
        return reason or "a generator, or asynchronous"
    free = _free_names(node) - {node.name}
    if is_method:
        free -= {"self"}
    unknown = sorted(name for name in free if name not in imports and not hasattr(builtins, name))
    if unknown:
        return "reads names that are neither builtins nor allowed imports"
    if free & FORBIDDEN - imports.keys():
        return "calls what reads or writes more than its arguments"
    docstring = ast.get_docstring(node) or ""
    if limits.docstring == "needed" and not docstring:
        return "has no docstring"
    setup = "\n".join(sorted({imports[name] for name in free if name in imports}))
    return _function(
        node, is_method, f"{place}:{node.lineno}", setup, docstring if limits.docstring != "ignored" else ""
    )


def _function(node: ast.FunctionDef, is_method: bool, source: str, setup: str, docstring: str) -> Function:
    """The function in one layout: that of `ast.unparse`, without the docstring where it is ignored."""
    if not docstring and ast.get_docstring(node) is not None:
        node = ast.FunctionDef(**{**dict(ast.iter_fields(node)), "body": node.body[1:] or [ast.Pass()]})
        ast.copy_location(node, node.body[0])
    code = ast.unparse(ast.fix_missing_locations(node))
    depth = 1 + (ast.get_docstring(node) is not None)
    head = ast.FunctionDef(**{**dict(ast.iter_fields(node)), "body": [*node.body[: depth - 1], ast.Pass()]})
    header = ast.unparse(ast.fix_missing_locations(head)).rpartition("\n")[0] + "\n"
    if is_method:
        code, header = (f"class Solution:\n{_indented(text)}" for text in (code, header))
    return Function(node.name, source, code, setup, header, docstring, node, is_method)


def _indented(text: str) -> str:
    """The text inside a class. Lines inside a string that spans several move as well, so that a method whose result
    holds such a string is another function; its answers come from the sandbox all the same."""
    return "".join(f"    {line}" if line.strip() else line for line in text.splitlines(keepends=True))


def _unfit(node: ast.FunctionDef | ast.AsyncFunctionDef, is_method: bool, limits: Limits) -> str | None:
    """The reason why a function is not minable that its form gives, or None."""
    arguments = node.args
    names = [*arguments.posonlyargs, *arguments.args]
    if is_method and (not names or names[0].arg != "self"):
        return "a method without self"
    count = len(names) - is_method
    if node.decorator_list:
        return "has decorators"
    if arguments.vararg or arguments.kwarg or arguments.kwonlyargs or not 1 <= count <= limits.parameters:
        return f"has no parameters, more than {limits.parameters}, or * and **"
    if (node.end_lineno or node.lineno) - node.lineno >= limits.max_lines:
        return f"has more than {limits.max_lines} lines"
    returns = False
    for inner in ast.walk(node):
        match inner:
            case (
                ast.Yield() | ast.YieldFrom() | ast.Await() | ast.AsyncFor() | ast.AsyncWith() | ast.AsyncFunctionDef()
            ):
                return "a generator, or asynchronous"
            case ast.Global() | ast.With() | ast.Import() | ast.ImportFrom() | ast.ClassDef():
                return "has global, with, an import or a class inside"
            case ast.Attribute(value=ast.Name(id="self")) if is_method and inner.attr != node.name:
                return "reads other parts of its class"
            case ast.Attribute() if inner.attr.startswith("__"):
                return "calls what reads or writes more than its arguments"
            case ast.Return() if inner.value is not None:
                returns = True
    return None if returns else "returns no value"


def _free_names(node: ast.FunctionDef) -> set[str]:
    """Names that the function reads and never binds, whatever the scope: those of annotations and defaults, too."""
    bound: set[str] = set()
    read: set[str] = set()
    for inner in ast.walk(node):
        match inner:
            case ast.Name(ctx=ast.Load()):
                read.add(inner.id)
            case ast.Name():
                bound.add(inner.id)
            case ast.arg():
                bound.add(inner.arg)
            case ast.FunctionDef() | ast.ClassDef() if inner is not node:
                bound.add(inner.name)
            case ast.ExceptHandler(name=str()):
                bound.add(str(inner.name))
            case ast.MatchAs(name=str()) | ast.MatchStar(name=str()):
                bound.add(str(inner.name))
    return read - bound


def distinct(functions: Sequence[Function]) -> list[Function]:
    """The first function of each structure."""
    return list({function.structure: function for function in reversed(functions)}.values())[::-1]
