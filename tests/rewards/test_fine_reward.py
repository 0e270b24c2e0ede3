"""Whom an error is blamed on and with what weight: METHODS, sections 1a and 1b."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rltf.rewards.fine import Fine
from rltf.types import Category, Credit, ErrorReport, FinishReason, Outcome, Program, Verdict

LINE = {"category": Category.LINE}


def one_line_of_eight_tokens_among_forty() -> list[str]:
    return ["x"] * 20 + ["\n"] + ["y"] * 8 + ["\n"] + ["z"] * 9 + [""]


def test_alpha_is_5_for_8_of_40_tokens_and_the_span_weighs_minus_12(problem, make_program, make_verdict):
    program = make_program(one_line_of_eight_tokens_among_forty())
    [credit] = Fine()(problem, program, make_verdict(Outcome.RUNTIME_ERROR, line=2, end_line=2, **LINE))
    start, end = credit.span
    assert (start, end) == (21, 29)
    assert credit.value == pytest.approx(-1.5, abs=1e-12)  # -0.3 * 40 / 8
    assert credit.value * (end - start) == pytest.approx(-12.0, abs=1e-12)  # = -0.3 * 40


def test_official_codes_alpha_is_one_whatever_the_span(problem, make_program, make_verdict):
    program = make_program(one_line_of_eight_tokens_among_forty())
    [credit] = Fine(alpha="one")(problem, program, make_verdict(Outcome.RUNTIME_ERROR, line=2, end_line=2, **LINE))
    assert credit == Credit("fine", -0.3, (21, 29))


def test_global_blame_covers_the_response_with_its_eos_and_has_alpha_1(problem, make_program, make_verdict):
    program = make_program(["a", "\n", "b", ""])
    [credit] = Fine()(problem, program, make_verdict(Outcome.TIMEOUT, category=Category.GLOBAL))
    assert credit == Credit("fine", -0.3, (0, 4))


@pytest.mark.parametrize("category", list(Category))
def test_a_syntax_error_of_a_truncated_program_is_global_whatever_its_category(
    problem, make_program, make_verdict, category
):
    program = make_program(["a", "\n", "f(", "b"], finish=FinishReason.LENGTH)
    [credit] = Fine()(problem, program, make_verdict(Outcome.SYNTAX_ERROR, line=2, category=category))
    assert credit.span == (0, 4)


def test_a_runtime_error_of_a_truncated_program_stays_on_its_line(problem, make_program, make_verdict):
    program = make_program(["a", "\n", "b", "\n", "c"], finish=FinishReason.LENGTH)
    [credit] = Fine()(problem, program, make_verdict(Outcome.RUNTIME_ERROR, line=1, **LINE))
    assert credit.span == (0, 1)


@pytest.mark.parametrize("finish", [FinishReason.EOS, FinishReason.STOP])
def test_a_syntax_error_of_a_finished_program_stays_on_its_line(problem, make_program, make_verdict, finish):
    program = make_program(["a", "\n", "f(", "\n", "c"], finish=finish)
    [credit] = Fine()(problem, program, make_verdict(Outcome.SYNTAX_ERROR, line=2, end_line=2, **LINE))
    assert credit.span == (2, 3)


@pytest.mark.parametrize("outcome", [Outcome.PASSED, Outcome.WRONG_ANSWER])
@pytest.mark.parametrize("finish", list(FinishReason))
def test_programs_that_ran_to_an_answer_carry_no_blame(problem, make_program, make_verdict, outcome, finish):
    program = make_program(["a", "\n", "b"], finish=finish)
    assert not Fine()(problem, program, make_verdict(outcome, line=1, category=Category.GLOBAL))


def test_ignored_errors_carry_no_blame(problem, make_program, make_verdict):
    program = make_program(["a", "\n", "b"])
    assert not Fine()(problem, program, make_verdict(Outcome.SYNTAX_ERROR, line=1, category=Category.IGNORE))


def test_an_error_without_report_or_line_carries_no_blame(problem, make_program, make_verdict):
    program = make_program(["a", "\n", "b"])
    assert not Fine()(problem, program, make_verdict(Outcome.MEMORY_LIMIT))
    assert not Fine()(problem, program, make_verdict(Outcome.RUNTIME_ERROR, line=None, **LINE))


def test_an_error_in_a_given_line_blames_no_drawn_token(problem, make_program, make_verdict):
    program = make_program(["    return x", ""], lead="def f(x, x):\n")
    assert not Fine()(problem, program, make_verdict(Outcome.SYNTAX_ERROR, line=1, end_line=1, **LINE))
    [credit] = Fine()(problem, program, make_verdict(Outcome.RUNTIME_ERROR, line=2, end_line=2, **LINE))
    assert credit.span == (0, 1)


def test_every_line_of_a_statement_over_several_lines_is_blamed(problem, make_program, make_verdict):
    program = make_program(["f(", "\n", "1", ")", "\n", "g", ""])
    [credit] = Fine()(problem, program, make_verdict(Outcome.RUNTIME_ERROR, line=1, end_line=2, **LINE))
    assert credit.span == (0, 4)
    [credit] = Fine()(problem, program, make_verdict(Outcome.RUNTIME_ERROR, line=1, end_line=None, **LINE))
    assert credit.span == (0, 1)


def test_an_empty_response_carries_no_blame(problem, make_verdict):
    empty = Program("p", "", (1,), (), (), (), FinishReason.LENGTH)
    assert not Fine()(problem, empty, make_verdict(Outcome.SYNTAX_ERROR, line=1, category=Category.GLOBAL))


def test_prose_around_the_code_is_never_blamed_for_a_line(problem):
    # "Sure: " | "```python\n" | "x = y" | "\n" | "```" | EOS, of which only "x = y\n" is the program
    offsets = ((0, 0), (0, 0), (0, 5), (5, 6), (6, 6), (6, 6))
    program = Program("p", "x = y\n", (1,), (1, 2, 3, 4, 5, 6), offsets, (-1.0,) * 6, FinishReason.EOS)
    error = ErrorReport("NameError", "", 1, 1, Category.LINE)
    [credit] = Fine()(problem, program, Verdict(Outcome.RUNTIME_ERROR, 0, 1, error))
    assert credit.span == (2, 3)
    assert credit.value == pytest.approx(-1.8, abs=1e-12)  # -0.3 * 6 / 1


@given(
    pieces=st.lists(st.sampled_from(["a", "\n", "  b", " = ", "\n\n", "\r\n", "é", "\t", "x\ny"]), min_size=1),
    line=st.integers(-1, 12),
    length=st.integers(0, 3),
    category=st.sampled_from(Category),
    outcome=st.sampled_from([o for o in Outcome if o not in (Outcome.PASSED, Outcome.WRONG_ANSWER)]),
    finish=st.sampled_from(FinishReason),
)
def test_every_blame_weighs_weight_times_length_and_lies_inside_the_response(
    pieces, line, length, category, outcome, finish
):
    at, offsets = 0, []
    for piece in pieces:
        offsets.append((at, at + len(piece)))
        at += len(piece)
    program = Program("p", "".join(pieces), (), (0,) * len(pieces), tuple(offsets), (), finish)
    verdict = Verdict(outcome, 0, 1, ErrorReport("E", "", line, line + length, category))
    for credit in Fine()(None, program, verdict):
        start, end = credit.span
        assert 0 <= start < end <= len(pieces)
        assert credit.value * (end - start) == pytest.approx(-0.3 * len(pieces))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Fine(weight=0.3), r"^weight is 0\.3: expected a number of at most 0"),
        (lambda: Fine(weight=math.nan), r"^weight is nan: expected a number of at most 0"),
        (lambda: Fine(alpha="mean"), r"^alpha is 'mean': expected length_ratio or one"),
    ],
)
def test_a_wrong_setting_names_its_key(make, words):
    with pytest.raises(ValueError, match=words):
        make()
