"""Tests of an item: inputs that tell its program from every simpler one."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

from rltf.benchmarks.infinitum.program import Source
from rltf.benchmarks.infinitum.running import Failure, Inputs, Program, counted, is_step
from rltf.benchmarks.mini.edits import node_slots, replaced_node
from rltf.benchmarks.mini.forms import Type, Variable

CANDIDATES = 24
"""Inputs of which tests are chosen."""
_LARGEST, _LONGEST = 1_000_000, 40
"""Largest absolute number, and largest number of characters or items, of a result."""
_ENDLESS = 3
"""Cases in which a mutant does not end, after which no further one is tried."""
_LEAST_RESULTS = 3
"""Different results among the tests, at least."""
_ALPHABET = "aabbccddeefgAB"

Cases = list[tuple[Inputs, Any]]
"""(inputs, expected result) pairs."""


def choose_cases(rng: Random, code: str, source: Source, count: int) -> Cases | None:
    """`count` test cases with at least three different results, which every mutant fails; None where there are none.

    Args:
        rng: random generator.
        code: the text of the program.
        source: the program; its distractors may be missing.
        count: number of cases.
    """
    name, parameters = source.name, source.parameters
    candidates = list({repr(i): i for i in (draw_inputs(rng, parameters) for _ in range(CANDIDATES))}.values())
    program = Program(counted(ast.parse(code)), name)
    usable = [(inputs, result) for inputs in candidates if _is_usable(result := program(inputs))]
    if len(usable) < count or len({repr(r) for _, r in usable}) < _LEAST_RESULTS:
        return None
    failed: list[frozenset[int]] = []
    for mutant in mutant_trees(code, source.distractor_lines()):
        failed.append(_failed_cases(Program(mutant, name), usable))
        if not failed[-1]:
            return None
    failed += [frozenset(i for i, (v, r) in enumerate(usable) if not equal(v[k], r)) for k in range(len(parameters))]
    indices = _cover(usable, failed, count)
    return None if indices is None else [usable[i] for i in indices]


def mutant_trees(code: str, skipped_lines: frozenset[int] = frozenset()) -> Iterator[ast.Module]:
    """Trees of programs with one condition always or never true, one operation left out, or one statement left out; the
    likeliest to pass come first. A tree is good until the next is asked for, and counts its steps.

    Args:
        code: the program.
        skipped_lines: lines in which nothing is changed.
    """
    tree = counted(ast.parse(code))
    slots = [slot for slot in node_slots(tree) if getattr(slot.node, "lineno", 0) not in skipped_lines]
    for slot in sorted(slots, key=lambda slot: isinstance(slot.node, ast.stmt)):
        for node in _simpler_nodes(slot.node):
            with replaced_node(slot, node):
                yield tree


def draw_inputs(rng: Random, parameters: Sequence[Variable]) -> Inputs:
    """Random arguments; lists are of small numbers half of the time, so that some of these repeat."""
    span = rng.choice((6, 30))
    return tuple(_draw_value(rng, p.type, span) for p in parameters)


def equal(expected: Any, result: Any) -> bool:
    """True where a test would pass."""
    return type(expected) is type(result) and bool(expected == result)


def _failed_cases(mutant: Program, cases: Cases) -> frozenset[int]:
    """Indices of the cases that the mutant fails; not all of them where it is endless."""
    places: set[int] = set()
    endless = 0
    for i, (inputs, expected) in enumerate(cases):
        result = mutant(inputs)
        if not equal(expected, result):
            places.add(i)
        endless += isinstance(result, Failure) and not result.ended
        if endless == _ENDLESS:
            break
    return frozenset(places)


def _draw_value(rng: Random, type: Type, span: int) -> Any:
    if type is Type.INT:
        return rng.randint(-50, 50)
    if type is Type.INTS:
        return [rng.randint(-span, span) for _ in range(rng.randint(4, 7))]
    return "".join(rng.choices(_ALPHABET, k=rng.randint(4, 7)))


def _simpler_nodes(node: ast.AST) -> list[ast.AST]:
    match node:
        case ast.arguments() | ast.FunctionDef():
            return []
        case ast.stmt() if not is_step(node):
            return [ast.copy_location(ast.Pass(), node)]
        case ast.Compare():
            return [ast.copy_location(ast.Constant(value), node) for value in (True, False)]
        case ast.BinOp(left=left, right=right):
            return [side for side in (left, right) if not isinstance(side, ast.Constant)]
    return []


def _is_usable(result: Any) -> bool:
    if isinstance(result, Failure):
        return False
    if isinstance(result, str):
        return 0 < len(result) <= _LONGEST
    if isinstance(result, list):
        return len(result) <= _LONGEST and all(abs(v) <= _LARGEST for v in result)
    return abs(result) <= _LARGEST


def _cover(usable: Cases, failed: list[frozenset[int]], count: int) -> list[int] | None:
    """Indices of `count` cases that meet every set and have three different results; greedily, None if that fails."""
    indices: list[int] = []
    open_sets = list(failed)
    while open_sets:
        counts = [sum(i in places for places in open_sets) for i in range(len(usable))]
        best = max(range(len(usable)), key=lambda i: (counts[i], -i))
        if counts[best] == 0 or len(indices) == count:
            return None
        indices.append(best)
        open_sets = [places for places in open_sets if best not in places]
    results = {repr(usable[i][1]) for i in indices}
    for other_results in (True, False):
        for i, (_, result) in enumerate(usable):
            is_new = repr(result) not in results
            eligible = is_new if other_results and len(results) < count - 1 else not other_results
            if len(indices) < count and i not in indices and eligible:
                indices.append(i)
                results.add(repr(result))
    return indices if len(indices) == count and len(results) >= _LEAST_RESULTS else None
