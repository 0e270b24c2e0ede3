"""Augmentations of a program that leave its lines where they are: a window of tokens, unknown tokens, other names.

Needs no torch: the random numbers are those of a `random.Random`, so that a run that goes on draws the same ones."""

from __future__ import annotations

import ast
import builtins
import keyword
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from random import Random

from rltf.rewards.spans import line_spans

NAMES = (
    *("a", "b", "c", "d", "g", "h", "i", "j", "k", "m", "n", "p", "q", "r", "s", "t", "u", "v", "w", "x", "y", "z"),
    *("item", "items", "value", "values", "number", "numbers", "result", "text", "total", "word", "words", "left"),
)
"""Names that local names become."""
READ_BY_NAME = frozenset({"locals", "globals", "vars", "dir", "eval", "exec"})
"""Functions that see a program's names as texts: nothing is renamed beside them."""


def shift_tokens(token_ids: Sequence[int], first_break: int, most: int, draw: Random) -> tuple[int, ...]:
    """The tokens without 0 to `most` of the first ones, in whose place the first one that is left stands, so that their
    number stays; the token that ends the first line is neither dropped nor repeated.

    Args:
        token_ids: of a program.
        first_break: position of the first token that ends a line.
        most: the largest number of tokens to drop.
        draw: chooses the number.
    """
    dropped = draw.randint(0, min(most, max(0, first_break - 1)))
    return (token_ids[dropped],) * dropped + tuple(token_ids[dropped:])


def mask_tokens(
    token_ids: Sequence[int], fixed: Collection[int], unknown: int, share: float, draw: Random
) -> tuple[int, ...]:
    """The tokens, some of which have become unknown.

    Args:
        token_ids: of a program.
        fixed: positions that stay: those of line ends.
        unknown: the unknown token.
        share: of the others that become unknown, in the mean.
        draw: chooses them.
    """
    return tuple(
        unknown if share and position not in fixed and draw.random() < share else token
        for position, token in enumerate(token_ids)
    )


def rename_locals(text: str, entry_point: str | None, draw: Random) -> str:
    """The program with other names for its variables and parameters; what it does stays the same.

    Names keep their place in every scope: one name becomes one other name in the whole program. Builtins, attributes,
    names of functions, classes and imports, keywords of calls and the entry point stay. A program that does not parse,
    that has f-strings (whose positions Python 3.11 does not know), or that reads names as texts comes back as it is.

    >>> rename_locals("def f(xs):\\n    return sum(xs)", "f", Random(0))
    'def f(j):\\n    return sum(j)'
    """
    try:
        with warnings.catch_warnings(action="ignore"):
            tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return text
    nodes = list(ast.walk(tree))
    used = {node.id for node in nodes if isinstance(node, ast.Name)}
    if used & READ_BY_NAME or any(isinstance(node, ast.JoinedStr) for node in nodes):
        return text
    fixed = set(_fixed_names(nodes)) | set(dir(builtins)) | {entry_point or ""}
    bound = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    bound |= {node.arg for node in nodes if isinstance(node, ast.arg)}
    renamed = sorted(name for name in bound - fixed if not name.startswith("__"))
    occupied = used | bound | fixed | set(keyword.kwlist)
    free = [name for name in NAMES if name not in occupied]
    draw.shuffle(free)
    return _replaced(text, nodes, dict(zip(renamed, free, strict=False)))


def _fixed_names(nodes: Sequence[ast.AST]) -> Iterator[str]:
    """Names that other parts of a program know."""
    for node in nodes:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name
            case ast.ClassDef(name=name, body=body):
                yield name
                yield from (child.id for field in body for child in ast.walk(field) if isinstance(child, ast.Name))
            case ast.alias(name=name, asname=asname):
                yield asname or name.partition(".")[0]
            case ast.keyword(arg=str(name)) | ast.Attribute(attr=name):
                yield name
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                yield name
            case ast.MatchMapping(rest=str(name)):
                yield name
            case ast.Global(names=names) | ast.Nonlocal(names=names):
                yield from names


def _replaced(text: str, nodes: Sequence[ast.AST], new_names: Mapping[str, str]) -> str:
    """The text with each name replaced where it stands, the last place first."""
    lines = line_spans(text)
    places: list[tuple[int, str]] = []
    for node in nodes:
        if not isinstance(node, ast.Name | ast.arg):
            continue
        name = node.id if isinstance(node, ast.Name) else node.arg
        if name not in new_names:
            continue
        start, end = lines[node.lineno - 1]
        before = text[start:end].encode()[: node.col_offset].decode()  # columns of ast are bytes of UTF-8
        place = start + len(before)
        if not text.startswith(name, place):  # written in another form of Unicode
            return text
        places.append((place, name))
    for place, name in sorted(places, reverse=True):
        text = text[:place] + new_names[name] + text[place + len(name) :]
    return text
