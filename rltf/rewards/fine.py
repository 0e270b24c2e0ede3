"""Fine feedback: the tokens of the faulty line carry the blame (RLTF, section 3.2).

How it deviates from the official code:
1. Lines come from the verdict as numbers and become tokens through the sampled tokens' offsets (`rltf.rewards.spans`);
   text is neither re-indented, nor encoded again, nor searched.
2. `alpha: length_ratio` is the paper's `T / (E - S)`. The official code divides the mask's length by itself, which is
   1 always; `alpha: one` is that.
3. That a program was cut at `max_new_tokens` is known from the sampler instead of guessed from the error's message.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from rltf.rewards.spans import tokens_of_lines
from rltf.types import Category, Credit, FinishReason, Outcome, Problem, Program, Span, Verdict
from rltf.validation import require

Alpha = Literal["length_ratio", "one"]


@dataclass(frozen=True)
class Fine:
    """Negative weight on the tokens that an error is blamed on; no baseline is subtracted from it.

    | category of the error | blamed tokens |
    |---|---|
    | line | those of the lines `line..end_line` |
    | global | the whole response, its end-of-sequence token included |
    | ignore, or no error | none |

    A syntax error of a program that was cut at `max_new_tokens` is global, whatever its category says.

    Args:
        weight: weight of a blamed token before `alpha`; at most 0.
        alpha: `length_ratio` multiplies by tokens of the response / tokens blamed, so that every blame weighs
            `weight * tokens of the response` in all; `one` does not.

    Raises:
        ValueError: a weight that is no finite number or above 0, or an unknown alpha.

    Example:
        >>> from rltf.types import ErrorReport, Program
        >>> offsets = ((0, 1), (1, 2), (2, 3), (3, 4))
        >>> program = Program("p", "a\\nb\\n", (), (1, 2, 3, 4), offsets, (), FinishReason.STOP)
        >>> error = ErrorReport("NameError", "name 'b' is not defined", 2, 2, Category.LINE)
        >>> Fine()(None, program, Verdict(Outcome.RUNTIME_ERROR, 0, 1, error))
        (Credit(term='fine', value=-1.2, span=(2, 3)),)
    """

    weight: float = -0.3
    alpha: Alpha = "length_ratio"

    def __post_init__(self) -> None:
        require("weight", self.weight, at_most=0)  # it is a penalty
        require("alpha", self.alpha, choices=get_args(Alpha))

    def __call__(self, problem: Problem, program: Program, verdict: Verdict) -> Sequence[Credit]:
        """One credit on the blamed tokens, or none."""
        span = blamed_tokens(program, verdict)
        if span is None:
            return ()
        alpha = len(program.token_ids) / (span[1] - span[0]) if self.alpha == "length_ratio" else 1.0
        return (Credit("fine", self.weight * alpha, span),)


def blamed_tokens(program: Program, verdict: Verdict) -> Span | None:
    """Half-open range of the response's tokens that the verdict's error is blamed on; None: no tokens are."""
    if not program.token_ids or verdict.outcome.stage >= Outcome.WRONG_ANSWER.stage:
        return None
    whole_response = (0, len(program.token_ids))
    if verdict.outcome is Outcome.SYNTAX_ERROR and program.finish is FinishReason.LENGTH:
        return whole_response
    error = verdict.error
    if error is None or error.category is Category.IGNORE:
        return None
    if error.category is Category.GLOBAL:
        return whole_response
    if error.line is None:
        return None
    return tokens_of_lines(program.text, program.offsets, error.line, error.end_line or error.line)
