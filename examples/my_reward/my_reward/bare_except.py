"""Blame for programs that catch every exception: they hide from their tests what went wrong."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rltf.rewards.spans import tokens_of_lines
from rltf.types import Credit, Problem, Program, Verdict
from rltf.validation import require

BARE_EXCEPT = re.compile(r"\s*except\s*:")


@dataclass(frozen=True)
class BareExcept:
    """A negative weight on the tokens of each line that begins with `except:`.

    Args:
        weight: of such a token; at most 0.
    """

    weight: float = -0.2

    def __post_init__(self) -> None:
        require("weight", self.weight, at_most=0)

    def __call__(self, problem: Problem, program: Program, verdict: Verdict) -> Sequence[Credit]:
        """One credit for each such line."""
        lines = [n for n, line in enumerate(program.text.splitlines(), start=1) if BARE_EXCEPT.match(line)]
        spans = [tokens_of_lines(program.text, program.offsets, line, line) for line in lines]
        return [Credit("bare_except", self.weight, span) for span in spans if span is not None]
