"""Mutants: a function with one small mistake, which good tests notice."""

from __future__ import annotations

from random import Random

from rltf.benchmarks.mini import bugs
from rltf.mining.functions import Function

KINDS = (bugs.comparison, bugs.operator, bugs.constant, bugs.span, bugs.missing_return)
"""Mistakes that leave a program that runs."""


def mutants_of(function: Function, count: int, seed: int) -> list[str]:
    """Programs that differ from a function by one mistake, at most `count`, drawn evenly from the kinds.

    Args:
        function: to be mutated; its header stays.
        count: largest number of mutants.
        seed: of the draw.
    """
    return mutants_of_program(function.code, count, seed)


def mutants_of_program(code: str, count: int, seed: int) -> list[str]:
    """As `mutants_of`, of any program that parses."""
    rng = Random(seed)
    by_kind = [list(dict.fromkeys(text for text in kind(code) if text != code)) for kind in KINDS]
    for programs in by_kind:
        rng.shuffle(programs)
    chosen: dict[str, None] = {}
    while len(chosen) < count and any(by_kind):
        for programs in by_kind:
            if programs and len(chosen) < count:
                chosen[programs.pop()] = None
    return list(chosen)
