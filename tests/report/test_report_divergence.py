"""Programs that part from a reference: from the rollout to the page."""

from __future__ import annotations

import html
import json
import re
from dataclasses import replace

import pytest
from rollout_strategies import build_program

from rltf.credit.divergence import DivergenceCredit
from rltf.report.read.examples import Example, example_from_record
from rltf.report.write.html import templates
from rltf.runs.rollouts_file import rollout_record
from rltf.types import Divergence, Outcome, Rollout, Verdict

PIECES = ("a = 1\n", "b = 2\n", "print(b)", "")


def shown_example(divergence: Divergence | None) -> Example:
    """A wrong program as the gallery reads it."""
    ends = [len("".join(PIECES[: i + 1])) for i in range(len(PIECES))]
    offsets = tuple((end - len(piece), end) for piece, end in zip(PIECES, ends, strict=True))
    program = replace(build_program(length=len(PIECES)), text="".join(PIECES), offsets=offsets)
    verdict = Verdict(Outcome.WRONG_ANSWER, 0, 3, divergence=divergence)
    [rollout] = DivergenceCredit()([Rollout(program, verdict, (), -0.3, 0.0, -1.0)])
    record = rollout_record(rollout, iteration=0)
    assert record.get("divergence") == (
        None if divergence is None else {"test": 3, "line": divergence.line, "end_line": divergence.end_line}
    )
    return example_from_record(json.loads(json.dumps(record)))


def card(example: Example) -> str:
    return templates().get_template("programs.html").module.card(example)


def coloured(markup: str) -> list[tuple[str, str]]:
    return [(kind, html.unescape(text)) for kind, text in re.findall(r'<b class="([^"]*)"[^>]*>(.*?)</b>', markup)]


def test_the_card_names_the_line_and_colours_its_tokens_alone():
    example = shown_example(Divergence(3, 2, 2))
    assert example.token_weights == (0, -1, 0, 0)
    page = card(example)
    assert "parts from the reference program in line 2 (test 3)" in page
    assert coloured(page) == [("minus", "b = 2")]
    assert 'title="token 1: advantage -1: -1 in all"' in page


def test_the_card_says_that_no_line_can_be_told_and_colours_nothing():
    example = shown_example(Divergence(3, None, None))
    assert example.token_weights == ()
    page = card(example)
    assert "no line can be told at which test 3 parts from the reference program" in page
    assert coloured(page) == []


def test_a_program_that_was_compared_with_nothing_has_no_word_of_it():
    assert "reference program" not in card(shown_example(None))


@pytest.mark.parametrize("row", [{}, {"test": 1}, {"test": 1, "line": "x", "end_line": 2}, 3])
def test_a_record_of_another_shape_is_refused(row):
    record = rollout_record(Rollout(build_program(), Verdict(Outcome.PASSED, 1, 1)), iteration=0)
    with pytest.raises((KeyError, TypeError, ValueError)):
        example_from_record({**record, "divergence": row})
