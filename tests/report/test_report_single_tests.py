"""Programs whose tests were compared one by one: from the rollout to the page."""

from __future__ import annotations

import html
import json
import re
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from rollout_strategies import build_program

from rltf.credit.per_test import PerTestCredit
from rltf.report.read.examples import example_from_record
from rltf.report.write.html import templates
from rltf.runs.rollouts_file import line_ranges, lines_of_ranges, rollout_record
from rltf.types import Credit, Outcome, Rollout, TestResult, Verdict

PIECES = ("if x:\n", "    a = 1\n", "b = 2", "")
PASSED, WRONG = TestResult(Outcome.PASSED, 0.0, executed=(1, 2)), TestResult(Outcome.WRONG_ANSWER, 0.0, executed=(1, 3))


def shown_example(*results, unexecuted=(), credits=()):
    """The first of two programs of a problem, the other of which passes all tests, as the gallery reads it."""
    ends = [len("".join(PIECES[: i + 1])) for i in range(len(PIECES))]
    offsets = tuple((end - len(piece), end) for piece, end in zip(PIECES, ends, strict=True))
    program = replace(build_program(length=len(PIECES)), text="".join(PIECES), offsets=offsets)
    passed = sum(result.status is Outcome.PASSED for result in results)
    verdict = Verdict(Outcome.WRONG_ANSWER, passed, len(results), tests=results, unexecuted=unexecuted)
    better = replace(verdict, tests=(replace(PASSED, executed=(1, 2, 3)),) * len(results))
    group = [Rollout(program, verdict, tuple(credits), -0.3, 0.0, -1.0), Rollout(program, better)]
    record = rollout_record(PerTestCredit(wrong_answer=-0.3, reduce="sum")(group)[0], iteration=0)
    return example_from_record(json.loads(json.dumps(record)))


def card(example) -> str:
    return templates().get_template("programs.html").module.card(example)


def coloured(markup: str) -> list[tuple[str, str]]:
    return [(kind, html.unescape(text)) for kind, text in re.findall(r'<b class="([^"]*)"[^>]*>(.*?)</b>', markup)]


def test_a_record_has_each_tests_outcome_advantage_and_lines():
    example = shown_example(PASSED, WRONG)
    assert [(t.number, t.status, t.advantage, t.lines) for t in example.tests] == [
        (1, "passed", 0.0, (1, 2)),
        (2, "wrong_answer", -0.65, (1, 3)),
    ]
    assert example.token_weights == (-0.325, 0.0, -0.325, -0.325)


def test_each_failed_test_opens_on_the_lines_that_it_executed():
    page = card(shown_example(PASSED, WRONG))
    [details] = re.findall(r"<details.*?</details>", page, re.DOTALL)
    assert "<summary>test 2: wrong answer, advantage −0.65, lines 1, 3</summary>" in details
    assert coloured(details) == [("minus", "if x:"), ("minus", "b = 2")]
    assert 'title="token 2: test 2 has advantage -0.65; tests -0.325: -0.325 in all"' in details


def test_tokens_are_coloured_by_what_their_lines_tests_gave_them():
    example = shown_example(PASSED, WRONG, credits=[Credit("fine", -1.0, (2, 3))])
    page = card(example).partition("<details")[0]
    assert coloured(page) == [("minus", "if x:"), ("minus", "b = 2"), ("minus eos", "end of sequence")]
    assert example.weight_sources(2) == "fine -1, tests -0.325: -1.32 in all"


def test_tests_whose_lines_are_not_known_open_nothing():
    unmeasured = replace(WRONG, executed=None)
    example = shown_example(unmeasured, unexecuted=None)
    assert [test.lines for test in example.tests] == [None]
    assert "<details" not in card(example)


def test_a_test_that_could_not_be_judged_says_so():
    example = shown_example(replace(WRONG, status=Outcome.UNJUDGEABLE), WRONG)
    assert example.tests[0].advantage is None
    assert "<summary>test 1: unjudgeable, could not be judged, lines 1, 3</summary>" in card(example)


@given(st.sets(st.integers(1, 60)))
def test_ranges_of_lines_come_back(lines):
    assert lines_of_ranges(line_ranges(sorted(lines))) == tuple(sorted(lines))
