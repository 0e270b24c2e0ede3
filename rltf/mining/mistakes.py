"""Copies of a function with one mistake each, which good tests notice: the mutants by which tests are chosen.

`rltf.benchmarks.mutants` makes more kinds of change, for audits of benchmarks; the figures of docs/mining.md were
measured with the fewer ones here, so the two share how they draw, and no more.
"""

from __future__ import annotations

from random import Random

from rltf.benchmarks.mini import bugs
from rltf.benchmarks.mutants import draw_in_turn

KINDS = (bugs.comparison, bugs.operator, bugs.constant, bugs.span, bugs.missing_return)
"""Mistakes that leave a program that runs."""


def mistaken_copies(code: str, count: int, seed: int) -> list[str]:
    """Programs that differ from one by one mistake, all different, at most `count`, drawn evenly from the kinds.

    Args:
        code: a correct program.
        count: largest number of copies.
        seed: of the draw.

    Raises:
        SyntaxError: the program is no Python.

    >>> sorted(mistaken_copies("def f(n):\\n    return n > 1", 2, seed=0))[0]
    'def f(n):\\n    return n < 1'
    """
    by_kind = [list(dict.fromkeys(text for text in kind(code) if text != code)) for kind in KINDS]
    return draw_in_turn(by_kind, count, Random(seed))
