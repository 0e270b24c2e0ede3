"""Tests of a program: inputs for which a constant, one of the inputs, or a simpler program gives other results."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

from rltf.benchmarks.mini.edits import NodeSlot, node_slots, replaced_node
from rltf.benchmarks.mini.forms import Type, Variable
from rltf.benchmarks.mini.running import Inputs, ProgramFailure, compile_program, is_expected, run_program, stdin_of
from rltf.benchmarks.mini.steps import ENTRY, Mode
from rltf.types import CallTest, StdioTest

_CANDIDATES = 4
"""Inputs drawn per test."""
_LARGEST, _LONGEST = 10_000, 24
"""Largest absolute number, and largest number of characters or items, of a result."""
_NUMBERS = range(-4, 15)
_ALPHABET = "aabbccddeAB"

Cases = list[tuple[Inputs, Any]]
"""(inputs, expected result) pairs; the result is a value, or the text that the reference program prints."""


def choose_cases(rng: Random, code: str, parameters: Sequence[Variable], mode: Mode, count: int) -> Cases | None:
    """`count` test cases; None where no such cases distinguish the program from a simpler one."""
    program = compile_program(code)
    assert program is not None, code
    candidates = (tuple(draw_value(rng, p.type) for p in parameters) for _ in range(_CANDIDATES * count))
    inputs = list({repr(i): i for i in candidates}.values())
    usable = [(i, r) for i, r in zip(inputs, run_program(program, mode, inputs), strict=True) if _is_usable(r)]
    cases = _varied_cases(usable, count)
    if len(cases) < count or _are_trivial(cases, mode):
        return None
    return cases if all(_fails(p, mode, cases) for p in _simpler_programs(code)) else None


def as_tests(cases: Cases, mode: Mode) -> tuple[CallTest | StdioTest, ...]:
    """The tests of these cases."""
    if mode == "call":
        return tuple(CallTest(ENTRY, i, r) for i, r in cases)
    return tuple(StdioTest(stdin_of(i), r) for i, r in cases)


def passes(code: str, mode: Mode, cases: Cases) -> bool:
    """True if the program gives every expected result."""
    program = compile_program(code)
    return program is not None and not _fails(program, mode, cases)


def draw_value(rng: Random, type: Type) -> Any:
    """A random input of a type."""
    if type is Type.INT:
        return rng.choice(_NUMBERS)
    if type is Type.INTS:
        return [rng.choice(_NUMBERS) for _ in range(rng.randint(4, 6))]
    return "".join(rng.choices(_ALPHABET, k=rng.randint(4, 6)))


def _is_usable(result: Any) -> bool:
    if isinstance(result, ProgramFailure):
        return False
    if isinstance(result, str):
        return 0 < len(result.strip()) <= _LONGEST
    if isinstance(result, list):
        return len(result) <= _LONGEST and all(abs(v) <= _LARGEST for v in result)
    return abs(result) <= _LARGEST


def _varied_cases(cases: Cases, count: int) -> Cases:
    """`count` of the cases, about two of three with results that no other has."""
    results: set[str] = set()
    distinct: Cases = []
    repeated: Cases = []
    for case in cases:
        result = repr(case[1])
        (repeated if result in results else distinct).append(case)
        results.add(result)
    # Two of three tests differ in their result; the third shows what is common.
    first = distinct[: max(2, count - len(repeated[: count // 3]))]
    return (first + repeated)[:count]


def _are_trivial(cases: Cases, mode: Mode) -> bool:
    """True if a constant program, or one that returns one of its inputs, passes."""
    outputs = [repr(r) for _, r in cases]
    boolean = isinstance(cases[0][1], bool) or cases[0][1] in ("True\n", "False\n")
    if len(set(outputs)) < (2 if boolean else 3):
        return True
    columns = zip(*(i for i, _ in cases), strict=True)
    if mode == "call":
        return any(all(v == r for v, (_, r) in zip(column, cases, strict=True)) for column in columns)
    return any(all(stdin_of((v,)).split() == r.split() for v, (_, r) in zip(c, cases, strict=True)) for c in columns)


def _simpler_programs(code: str) -> Iterator[Any]:
    """Compiled programs in which one operation is left out, or one condition is always or never true."""
    tree = ast.parse(code)
    for slot in list(node_slots(tree)):
        for node in _simpler_nodes(slot):
            with replaced_node(slot, node):
                yield compile(tree, "<mini>", "exec")


def _simpler_nodes(slot: NodeSlot) -> list[ast.expr]:
    match slot.node:
        case ast.Compare():
            return [_located(ast.Constant(True), slot.node), _located(ast.Constant(False), slot.node)]
        case ast.BinOp(left=left, right=right):
            return [side for side in (left, right) if not isinstance(side, ast.Constant)]
        case ast.Subscript(value=inner) | ast.Call(func=ast.Attribute(value=inner)):
            return [inner] if not isinstance(inner, ast.Call) or inner.args else []
        case ast.Call(func=ast.Name(id="abs" | "sorted"), args=[inner]):
            return [inner]
        case ast.Call(func=ast.Name(id="max" | "min"), args=[left, right]):
            return [left, right]
    return []


def _located(node: ast.expr, original: ast.AST) -> ast.expr:
    return ast.copy_location(node, original)


def _fails(program: Any, mode: Mode, cases: Cases) -> bool:
    return any(not is_expected(mode, r, run_program(program, mode, [i])[0]) for i, r in cases)
