"""Long programs of `mini`: functions of several independent parts, of which the first argument chooses one.

A part is two to five lines of few operations, so that a policy of a million parameters can learn to write it. Whether
the program passes depends on every part, and each test sees one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from rltf.benchmarks.mini.bugs import break_program
from rltf.benchmarks.mini.checks import Cases, choose_cases, draw_value, passes
from rltf.benchmarks.mini.forms import Type, Variable
from rltf.benchmarks.mini.shapes import PARAMETERS, Shape, draw_steps, let, loop, two_cases
from rltf.benchmarks.mini.steps import ENTRY, Source, expressions, indented, operations

CHOICE = Variable("k", Type.INT)
"""The argument that chooses a part: 0, 1, ..."""
LEAST_TESTS = 3
"""Tests of a part, at least: fewer cannot tell it from a constant."""
_TRIES = 8
"""Draws of a part's tests: few tests often miss what tells it from a simpler one, and the program has other parts."""
_OPERATIONS = frozenset(
    {"add", "subtract", "multiply", "add_k", "subtract_k", "multiply_k", "divide_k", "modulo_k", "larger", "smaller"}
    | {"sum", "maximum", "minimum", "length", "first", "last", "letters", "above_k", "below_k", "even", "odd"}
    | {"sorted", "reversed", "append", "upper", "backwards", "suffix", "prefix"}
)
"""Names of the operations that occur in a part (`forms.FORMS`)."""
_SHAPES: tuple[tuple[Shape, float], ...] = ((let((1,), (1,)), 2.0), (two_cases((1,)), 1.0), (loop((1,), 0.5), 1.0))
"""Shapes of a part, and their relative frequency."""


@dataclass(frozen=True, slots=True)
class LongSource:
    """A function of several parts."""

    parts: tuple[Source, ...]
    """Each a function by itself; all in mode `call`."""

    @property
    def parameters(self) -> tuple[Variable, ...]:
        """Those of the parts, in the order of all programs; before them stands `k`, where there is a choice."""
        used = {p for part in self.parts for p in part.parameters}
        return tuple(p for p in PARAMETERS if p in used)

    @property
    def signature(self) -> str:
        """The names of the arguments, e.g. `k, a, xs`."""
        choice = (CHOICE,) if len(self.parts) > 1 else ()
        return ", ".join(p.name for p in (*choice, *self.parameters))

    def code(self, bodies: Sequence[Sequence[str]] | None = None) -> str:
        """The program.

        Args:
            bodies: lines of each part; None: the right ones.
        """
        bodies = [part_body(part.code()) for part in self.parts] if bodies is None else bodies
        lines = [f"def {ENTRY}({self.signature}):"]
        if len(bodies) == 1:
            return "\n".join([*lines, *indented(list(bodies[0]))])
        for i, body in enumerate(bodies):
            last = i == len(bodies) - 1
            header = "else:" if last else f"{'elif' if i else 'if'} {CHOICE.name} == {i}:"
            lines += indented([header, *indented(list(body))])
        return "\n".join(lines)

    def english(self) -> str:
        """The task in English."""
        clauses = ["; ".join(step.english("call") for step in part.steps) for part in self.parts]
        if len(clauses) > 1:
            clauses = [f"if {CHOICE.name} is {i} {clause}" for i, clause in enumerate(clauses)]
        return f"{ENTRY}({self.signature}): {'; '.join(clauses)}"

    def tags(self) -> tuple[str, ...]:
        """The mode, and the language constructs inside, sorted."""
        return ("call", *sorted({tag for part in self.parts for tag in part.tags()} - {"call"}))


def draw_long_source(rng: Random, parts: int) -> LongSource | None:
    """A random function of so many different parts, or None where this draw led to none."""
    sources = tuple(_draw_part(rng) for _ in range(parts))
    return LongSource(sources) if len({s.english() for s in sources}) == parts else None


def choose_long_cases(rng: Random, source: LongSource, count: int) -> tuple[Cases, list[Cases]] | None:
    """All test cases in a random order, and those of each part; None where no such cases distinguish a part from a
    simpler one.

    Args:
        rng: random generator.
        source: the function.
        count: number of cases, at least `LEAST_TESTS` a part; chance deals out the others, unevenly.
    """
    parts = range(len(source.parts))
    counts = [LEAST_TESTS for _ in parts]
    shares = [rng.random() for _ in parts]
    for i in rng.choices(parts, shares, k=count - sum(counts)):
        counts[i] += 1
    by_part: list[Cases] = []
    for i, part in enumerate(source.parts):
        draws = (choose_cases(rng, part.code(), part.parameters, "call", counts[i]) for _ in range(_TRIES))
        cases = next((cases for cases in draws if cases is not None), None)
        if cases is None:
            return None
        by_part.append([(_arguments(rng, source, i, inputs), result) for inputs, result in cases])
    shuffled = [case for cases in by_part for case in cases]
    rng.shuffle(shuffled)
    return shuffled, by_part


def break_parts(rng: Random, source: LongSource, by_part: Sequence[Cases], bug_share: float) -> str:
    """The program, each part with one mistake in a share of all draws.

    Args:
        rng: random generator.
        source: the function.
        by_part: test cases of each part, which notice every mistake.
        bug_share: of the parts, 0 to 1.
    """
    right_bodies = [part_body(part.code()) for part in source.parts]
    bodies = list(right_bodies)
    for i, part in enumerate(source.parts):
        if rng.random() >= bug_share:
            continue

        def is_right(code: str, i: int = i) -> bool:
            body = part_body(code)
            program = source.code([*right_bodies[:i], body, *right_bodies[i + 1 :]])
            return body == right_bodies[i] or passes(program, "call", by_part[i])

        broken = break_program(rng, part.code(), is_right)
        if broken is not None:
            bodies[i] = part_body(broken[0])
    return source.code(bodies)


def part_body(code: str) -> list[str]:
    """The lines of a one-part program's function without the indentation that they share."""
    return [line.removeprefix("    ") for line in code.split("\n")[1:]]


def _draw_part(rng: Random) -> Source:
    """One part, drawn anew until its operations are among the few."""
    while True:
        steps = draw_steps(rng, _SHAPES)
        if steps is None or any(op.form.name not in _OPERATIONS for step in steps for op in operations(step)):
            continue
        used = {e for step in steps for e in expressions(step) if isinstance(e, Variable)}
        parameters = tuple(p for p in PARAMETERS if p in used)
        if parameters:
            return Source(parameters, tuple(steps), "call")


def _arguments(rng: Random, source: LongSource, part: int, inputs: tuple[object, ...]) -> tuple[object, ...]:
    """Arguments of the whole function for inputs of a part; what the part does not read is random."""
    of_part = dict(zip(source.parts[part].parameters, inputs, strict=True))
    values = [of_part[p] if p in of_part else draw_value(rng, p.type) for p in source.parameters]
    return (part, *values) if len(source.parts) > 1 else tuple(values)
