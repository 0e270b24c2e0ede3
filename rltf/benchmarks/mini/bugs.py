"""Mistakes of demonstrations, one realistic mistake each, as in code from the web.

A kind of mistake is a function from a program to the wrong programs it can become. `break_program` draws a kind, then
one of its programs, and keeps it only where the tests notice.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from random import Random

from rltf.benchmarks.mini.edits import node_slots, replaced_node

Bug = Callable[[str], Iterator[str]]
"""Program -> wrong programs, each different from it."""

_TYPO = {"xs": "x", "x": "xs", "ys": "y", "s": "st", "t": "n", "r": "t", "a": "n", "b": "c", "i": "j"}
_COMPARE: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.LtE),
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.GtE),
    ast.Eq: (ast.NotEq,),
    ast.In: (ast.NotIn,),
}
_OPERATOR: dict[type[ast.operator], tuple[type[ast.operator], ...]] = {
    ast.Add: (ast.Sub,),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Add,),
    ast.FloorDiv: (ast.Div, ast.Mod),
    ast.Mod: (ast.FloorDiv,),
}


def break_program(
    rng: Random, code: str, passes: Callable[[str], bool], frequencies: Mapping[str, float] | None = None
) -> tuple[str, str] | None:
    """(wrong program, kind of its mistake); None where no mistake fails the tests.

    Args:
        rng: Random generator.
        code: A correct program.
        passes: True for a program that passes the tests.
        frequencies: kind of mistake -> relative frequency; None: all kinds, as in `KINDS`.
    """
    frequencies = {kind: frequency for kind, (_, frequency) in KINDS.items()} if frequencies is None else frequencies
    kinds = list(frequencies)
    while kinds:
        kind = rng.choices(kinds, [frequencies[k] for k in kinds])[0]
        kinds.remove(kind)
        candidates = list(KINDS[kind][0](code))
        rng.shuffle(candidates)
        for program in candidates[:3]:
            if program != code and not _may_be_endless(program) and not passes(program):
                return program, kind
    return None


def _may_be_endless(program: str) -> bool:
    """True if a loop appends to the list it iterates over. Wrong programs run in this process, so they must end."""
    return any(f"{name}.append(" in program for name in re.findall(r"\bfor \w+ in (\w+):?$", program, re.MULTILINE))


def comparison(code: str) -> Iterator[str]:
    """`>` for `>=`, `<` for `>`, `!=` for `==`."""
    yield from _edited_programs(
        code, lambda n: (c() for c in _COMPARE.get(type(n), ())) if isinstance(n, ast.cmpop) else ()
    )


def operator(code: str) -> Iterator[str]:
    """`-` for `+`, `/` for `//`, `+` for `*`."""
    yield from _edited_programs(
        code, lambda n: (c() for c in _OPERATOR.get(type(n), ())) if isinstance(n, ast.operator) else ()
    )


def constant(code: str) -> Iterator[str]:
    """A number too large or too small by one."""

    def replacements(node: ast.AST) -> Iterator[ast.AST]:
        if isinstance(node, ast.Constant) and isinstance(node.value, int):
            yield ast.Constant(node.value + 1)
            if node.value:
                yield ast.Constant(node.value - 1)

    yield from _edited_programs(code, replacements)


def quoted(code: str) -> Iterator[str]:
    """A number written as a string: mostly a `TypeError`."""
    yield from _edited_programs(
        code,
        lambda n: (ast.Constant(str(n.value)),) if isinstance(n, ast.Constant) and isinstance(n.value, int) else (),
    )


def variable(code: str) -> Iterator[str]:
    """Another variable, or a name that does not exist: a `NameError`."""
    variables = {n.id for n in ast.walk(ast.parse(code)) if isinstance(n, ast.Name) and n.id in _TYPO}

    def replacements(node: ast.AST) -> Iterator[ast.AST]:
        if isinstance(node, ast.Name) and node.id in _TYPO and isinstance(node.ctx, ast.Load):
            for name in sorted(variables - {node.id} | {_TYPO[node.id]}):
                yield ast.Name(name, node.ctx)

    yield from _edited_programs(code, replacements)


def index(code: str) -> Iterator[str]:
    """`xs[len(xs)]` for the last item, one item off: often an `IndexError`."""

    def replacements(node: ast.AST) -> Iterator[ast.AST]:
        if isinstance(node, ast.Subscript) and not isinstance(node.slice, ast.Slice):
            length = ast.Call(ast.Name("len", ast.Load()), [node.value], [])
            yield ast.Subscript(node.value, length, node.ctx)
            yield ast.Subscript(node.value, ast.Constant(9), node.ctx)

    yield from _edited_programs(code, replacements)


def attribute(code: str) -> Iterator[str]:
    """`xs.len()` for `len(xs)`: an `AttributeError`."""

    def replacements(node: ast.AST) -> Iterator[ast.AST]:
        match node:
            case ast.Call(func=ast.Name(id="len" | "sum" | "max" | "min" | "sorted" as name), args=[inner]):
                yield ast.Call(ast.Attribute(inner, name, ast.Load()), [], [])

    yield from _edited_programs(code, replacements)


def conversion(code: str) -> Iterator[str]:
    """Input that stays text, a number that is not turned into text: a `TypeError`."""

    def replacements(node: ast.AST) -> Iterator[ast.AST]:
        match node:
            case ast.Call(func=ast.Name(id="int" | "str"), args=[inner]):
                yield inner
            case ast.Call(func=ast.Name(id="list"), args=[ast.Call(func=ast.Name(id="map"), args=[_, inner])]):
                yield inner

    yield from _edited_programs(code, replacements)


def span(code: str) -> Iterator[str]:
    """A range one too long, or that starts at one."""

    def replacements(node: ast.AST) -> Iterator[ast.AST]:
        match node:
            case ast.Call(func=ast.Name(id="range"), args=[end]):
                yield ast.Call(node.func, [ast.BinOp(end, ast.Add(), ast.Constant(1))], [])
                yield ast.Call(node.func, [ast.Constant(1), end], [])

    yield from _edited_programs(code, replacements)


def missing_return(code: str) -> Iterator[str]:
    """A result that is computed and dropped."""
    yield from _edited_programs(
        code, lambda n: (ast.Expr(n.value),) if isinstance(n, ast.Return) and n.value is not None else ()
    )


def printed(code: str) -> Iterator[str]:
    """A result that is printed where it should be returned."""
    for match in re.finditer(r"^( *)return (.*)\Z", code, re.MULTILINE):
        yield f"{code[: match.start()]}{match[1]}print({match[2]})"


def missing_line(code: str) -> Iterator[str]:
    """A variable that is never set: a `NameError`."""
    tree = ast.parse(code)
    for slot in list(node_slots(tree)):
        if isinstance(slot.node, ast.Assign) and slot.index is not None:
            with replaced_node(slot, None):
                yield _text(tree)


def missing_colon(code: str) -> Iterator[str]:
    """A header without its colon: a `SyntaxError`."""
    yield from _shortened_programs(code, r":$")


def missing_bracket(code: str) -> Iterator[str]:
    """A bracket that is not closed: a `SyntaxError`."""
    yield from _shortened_programs(code, r"[\])](?=:?$)")


def early_return(code: str) -> Iterator[str]:
    """The result given inside the loop."""
    for match in re.finditer(r"^( *)(?=return .*\Z)", code, re.MULTILINE):
        if re.search(r"^ *for ", code, re.MULTILINE):
            yield code[: match.start()] + "    " + code[match.start() :]


KINDS: dict[str, tuple[Bug, float]] = {
    "printed": (printed, 16),
    "conversion": (conversion, 6),
    "missing_colon": (missing_colon, 4),
    "comparison": (comparison, 1),
    "operator": (operator, 1),
    "constant": (constant, 0.5),
    "quoted": (quoted, 0.5),
    "variable": (variable, 1),
    "index": (index, 0.5),
    "attribute": (attribute, 0.5),
    "span": (span, 0.5),
    "missing_return": (missing_return, 1),
    "missing_line": (missing_line, 0.5),
    "missing_bracket": (missing_bracket, 1),
    "early_return": (early_return, 0.5),
}
"""Kind of mistake -> (function that makes it, relative frequency) among the kinds a program can have. As in beginners'
code, three habits make most of the mistakes (results printed where they should be returned, input that stays text, a
forgotten colon) and a tail of rare ones the rest."""


def _edited_programs(
    code: str, replacements: Callable[[ast.AST], Iterator[ast.AST] | tuple[ast.AST, ...]]
) -> Iterator[str]:
    """The program with each node replaced in turn by each of `replacements(node)`."""
    tree = ast.parse(code)
    for slot in list(node_slots(tree)):
        for node in replacements(slot.node):
            with replaced_node(slot, node):
                yield _text(tree)


def _text(tree: ast.AST) -> str:
    return "\n".join(line for line in ast.unparse(ast.fix_missing_locations(tree)).split("\n") if line)


def _shortened_programs(code: str, pattern: str) -> Iterator[str]:
    for match in re.finditer(pattern, code, re.MULTILINE):
        yield code[: match.start()] + code[match.end() :]
