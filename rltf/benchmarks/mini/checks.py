"""Tests of a program: inputs on which it is told from constants, from its own inputs and from simpler programs."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

from rltf.benchmarks.mini.edits import Sandbox, replaced, slots
from rltf.benchmarks.mini.forms import Type, Variable
from rltf.benchmarks.mini.running import Failed, Inputs, compiled, results, same, stdin_of
from rltf.benchmarks.mini.steps import ENTRY, Mode
from rltf.types import CallTest, StdioTest

_CANDIDATES = 4
"""Inputs drawn per test wanted."""
_LARGEST, _LONGEST = 10_000, 24
"""Results beyond these are left out: numbers, and characters or items."""
_ALPHABET = "aabbccddeAB"

Cases = list[tuple[Inputs, Any]]
"""Inputs and what the reference gives: a value, or the text it prints."""


def choose(rng: Random, code: str, parameters: Sequence[Variable], mode: Mode, count: int) -> Cases | None:
    """Inputs and expected results of `count` tests, or None where no tests tell the program from a simpler one."""
    program = compiled(code)
    assert program is not None, code
    drawn = (tuple(_value(rng, p.type) for p in parameters) for _ in range(_CANDIDATES * count))
    inputs = list({repr(i): i for i in drawn}.values())
    found = [(i, r) for i, r in zip(inputs, results(program, mode, inputs), strict=True) if _usable(r)]
    cases = _varied(found, count)
    if len(cases) < count or _trivial(cases, mode):
        return None
    return cases if all(_fails(p, mode, cases) for p in _simpler(code)) else None


def as_tests(cases: Cases, mode: Mode) -> tuple[CallTest | StdioTest, ...]:
    """The cases as tests."""
    if mode == "call":
        return tuple(CallTest(ENTRY, i, r) for i, r in cases)
    return tuple(StdioTest(stdin_of(i), r) for i, r in cases)


def passes(code: str, mode: Mode, cases: Cases) -> bool:
    """True if the program gives every expected result."""
    program = compiled(code)
    return program is not None and not _fails(program, mode, cases)


def _value(rng: Random, type: Type) -> Any:
    if type is Type.INT:
        return rng.randint(-4, 14)
    if type is Type.INTS:
        return [rng.randint(-4, 14) for _ in range(rng.randint(4, 6))]
    return "".join(rng.choices(_ALPHABET, k=rng.randint(4, 6)))


def _usable(result: Any) -> bool:
    if isinstance(result, Failed):
        return False
    if isinstance(result, str):
        return 0 < len(result.strip()) <= _LONGEST
    if isinstance(result, list):
        return len(result) <= _LONGEST and all(abs(v) <= _LARGEST for v in result)
    return abs(result) <= _LARGEST


def _varied(found: Cases, count: int) -> Cases:
    """`count` cases, those with a result not seen before first."""
    seen: set[str] = set()
    new: Cases = []
    rest: Cases = []
    for case in found:
        key = repr(case[1])
        (rest if key in seen else new).append(case)
        seen.add(key)
    # Two of three tests differ in their result; the third shows what is common.
    fresh = new[: max(2, count - len(rest[: count // 3]))]
    return (fresh + rest)[:count]


def _trivial(cases: Cases, mode: Mode) -> bool:
    """True if a constant, or a program that gives back one of its inputs, passes."""
    outputs = [repr(r) for _, r in cases]
    boolean = isinstance(cases[0][1], bool) or cases[0][1] in ("True\n", "False\n")
    if len(set(outputs)) < (2 if boolean else 3):
        return True
    given = zip(*(i for i, _ in cases), strict=True)
    if mode == "call":
        return any(all(v == r for v, (_, r) in zip(column, cases, strict=True)) for column in given)
    return any(all(stdin_of((v,)).split() == r.split() for v, (_, r) in zip(c, cases, strict=True)) for c in given)


def _simpler(code: str) -> Iterator[Any]:
    """Compiled programs in which one operation is left out, or one condition is always or never true."""
    tree = ast.parse(code)
    for slot in list(slots(tree)):
        for node in _instead(slot):
            with replaced(slot, node):
                yield compile(tree, "<mini>", "exec")


def _instead(slot: Sandbox) -> list[ast.expr]:
    match slot.node:
        case ast.Compare():
            return [_at(ast.Constant(True), slot.node), _at(ast.Constant(False), slot.node)]
        case ast.BinOp(left=left, right=right):
            return [side for side in (left, right) if not isinstance(side, ast.Constant)]
        case ast.Subscript(value=inner) | ast.Call(func=ast.Attribute(value=inner)):
            return [inner] if not isinstance(inner, ast.Call) or inner.args else []
        case ast.Call(func=ast.Name(id="abs" | "sorted"), args=[inner]):
            return [inner]
        case ast.Call(func=ast.Name(id="max" | "min"), args=[left, right]):
            return [left, right]
    return []


def _at(new: ast.expr, old: ast.AST) -> ast.expr:
    return ast.copy_location(new, old)


def _fails(program: Any, mode: Mode, cases: Cases) -> bool:
    return any(not same(mode, r, results(program, mode, [i])[0]) for i, r in cases)
