"""Programs on the page: text, lines, and the colour of blamed tokens."""

from __future__ import annotations

import html
import json
import random
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rltf.report.read.examples import Example, example_from_record
from rltf.report.write.html import templates
from rltf.report.write.program_listing import intensity
from rltf.runs.rollouts_file import rollout_record
from rltf.types import Category, Credit, ErrorReport


def listing(example) -> str:
    """HTML of one program."""
    return templates().get_template("programs.html").module.listing(example)


def gallery(examples) -> str:
    """HTML of the gallery."""
    return templates().get_template("programs.html").module.gallery(examples)


def example(pieces, credits=(), error=None, finish="stop", outcome="runtime_error"):
    ends = [len("".join(pieces[: i + 1])) for i in range(len(pieces))]
    return Example(
        iteration=0,
        problem_id="p",
        program="".join(pieces),
        outcome=outcome,
        passed=0,
        total=1,
        finish=finish,
        error=error,
        credits=tuple(credits),
        offsets=tuple((end - len(piece), end) for piece, end in zip(pieces, ends, strict=True)),
    )


def copied(markup: str) -> str:
    """What a reader gets who copies the listing."""
    return html.unescape(re.sub(r"<[^>]*>", "", markup))


def coloured(markup: str) -> list[tuple[int, str]]:
    """(token, its text) of each coloured piece."""
    found = re.findall(r'<b class="[^"]*" style="[^"]*" title="token (\d+)[^"]*">(.*?)</b>', markup)
    return [(int(token), html.unescape(piece)) for token, piece in found]


def test_exactly_the_tokens_of_the_span_are_coloured():
    shown = listing(example(["a", " = ", "b", "\n", "c", "\n"], [Credit("fine", -1.5, (0, 3))]))
    assert coloured(shown) == [(0, "a"), (1, " = "), (2, "b")]
    assert 'title="token 1: fine -1.5"' in shown


def test_whole_program_credits_colour_nothing():
    assert coloured(listing(example(["a", "b"], [Credit("coarse", -0.6)]))) == []


def test_weights_of_several_terms_add_up():
    shown = example(["a", "b", "c"], [Credit("x", -1.0, (0, 2)), Credit("y", 0.5, (1, 3))])
    assert shown.span_weights() == [-1.0, -0.5, 0.5]
    assert '<b class="plus"' in listing(shown)


def test_a_token_says_where_its_weight_is_from():
    credits = [Credit("fine", -1.5, (0, 1)), Credit("lines", 0.25, (0, 2)), Credit("coarse", 1.0)]
    shown = replace(example(["a", "b"], credits), advantage=0.5)
    assert shown.weight_sources(0) == "fine -1.5, lines 0.25, advantage 0.5: -0.75 in all"
    assert shown.weight_sources(1) == "lines 0.25, advantage 0.5: 0.75 in all"
    assert (
        replace(shown, token_weights=(-0.2, 0.1)).weight_sources(0)
        == "fine -1.5, lines 0.25, advantage 0.5: -0.2 in all"
    )


def test_tokens_that_no_test_executed_are_struck_out_and_those_given_are_set_apart():
    shown = replace(
        example(["if x:\n", "    a = 1\n", "b = 2", ""]),
        advantage=0.5,
        unexecuted_lines=(2,),
        token_weights=(0.5, 0.0, 0.5, 0.5),
    )
    html = listing(shown)
    assert coloured(html) == [(1, "    a = 1")]
    assert 'title="token 1: advantage 0.5: 0 in all; no test executed its line"' in html
    assert "no weight on 1 of 4 tokens" in copied(gallery([shown]))
    begun = listing(replace(shown, prefix_length=8, offsets=((8, 16), (16, 21), (21, 21)), token_weights=()))
    assert re.findall(r'<i class="given">(.*?)</i>', begun) == ["if x:", "  "]
    assert copied(begun) == "if x:\n    a = 1\nb = 2"


def test_a_record_of_weighed_tokens_comes_back(make_rollout):
    rollout = make_rollout(random.Random(1), 1.0, version=0, draw=0)
    tokens = len(rollout.program.token_ids)
    verdict = replace(rollout.verdict, unexecuted=(2,))
    rollout = replace(rollout, verdict=verdict, weights=(0.25,) * tokens)
    record = json.loads(json.dumps(rollout_record(rollout, 0)))
    shown = example_from_record(record)
    assert (shown.unexecuted_lines, shown.token_weights, shown.prefix_length) == ((2,), (0.25,) * tokens, 0)
    with pytest.raises(ValueError, match="2 weights"):
        example_from_record({**record, "weights": [1.0, 2.0]})


def test_a_token_over_a_line_end_is_coloured_in_both_lines():
    shown = listing(example(["if a", ":\n    ", "b"], [Credit("fine", -1.0, (1, 2))]))
    assert coloured(shown) == [(1, ":"), (1, "    ")]
    assert copied(shown) == "if a:\n    b"


def test_a_blamed_empty_line_shows_its_line_end():
    assert coloured(listing(example(["a", "\n", "\n", "b"], [Credit("fine", -1.0, (2, 3))]))) == [(2, "↵")]


def test_a_blamed_token_without_characters_colours_nothing():
    assert coloured(listing(example(["a", "", "\n"], [Credit("fine", -1.0, (1, 2))]))) == []


def test_the_end_of_sequence_token_is_shown_where_it_is_blamed():
    blamed = example(["a", ""], [Credit("fine", -0.3, (0, 2))], finish="eos")
    assert coloured(listing(blamed)) == [(0, "a"), (1, "end of sequence")]
    assert "end of sequence" not in listing(example(["a", ""], [Credit("fine", -0.3, (0, 1))], finish="eos"))


def test_tokens_that_share_a_character_colour_it_once():
    shared = Example(0, "p", "aéb", "timeout", 0, 1, credits=(Credit("f", -1.0, (0, 4)),))
    shared = Example(**{**shared.__dict__, "offsets": ((0, 1), (1, 2), (1, 2), (2, 3))})
    assert coloured(listing(shared)) == [(0, "a"), (1, "é"), (3, "b")]


def test_the_faulty_lines_carry_a_mark():
    error = ErrorReport("NameError", "", 2, 3, Category.LINE)
    shown = listing(example(["a\n", "b\n", "c\n", "d\n"], error=error))
    assert re.findall(r'class="l faulty" data-n="(\d+)"', shown) == ["2", "3"]


def test_an_error_past_the_end_marks_the_last_line():
    shown = listing(example(["if x:\r\n"], error=ErrorReport("IndentationError", "", 2, 2, Category.LINE)))
    assert re.findall(r'class="l faulty" data-n="(\d+)"', shown) == ["1"]


@given(
    pieces=st.lists(st.text(st.sampled_from("ab<&\"' \t\né"), min_size=1, max_size=4), min_size=1, max_size=20),
    data=st.data(),
)
def test_a_copied_listing_is_the_program(pieces, data):
    start = data.draw(st.integers(0, len(pieces) - 1))
    end = data.draw(st.integers(start + 1, len(pieces)))
    shown = copied(listing(example(pieces, [Credit("fine", -2.0, (start, end))])))
    assert shown.replace("↵", "") == "".join(pieces).removesuffix("\n")


def test_colour_grows_with_the_weight_and_is_full_from_ten():
    weights = [0.01, 0.3, 1.0, 3.0, 9.9]
    assert [intensity(w) for w in weights] == sorted(intensity(w) for w in weights)
    assert intensity(-1.0) == intensity(1.0)
    assert intensity(10.0) == intensity(500.0) == 1.0


def test_a_card_says_outcome_error_line_and_every_credit():
    error = ErrorReport("NameError", "name 'b' is not defined", 1, 1, Category.LINE)
    page = copied(gallery([example(["b", "\n"], [Credit("coarse", -0.6), Credit("fine", -0.6, (0, 1))], error)]))
    assert "runtime error" in page
    assert "NameError: name 'b' is not defined in line 1 (blame on the coloured tokens)" in page
    assert "coarse −0.6 · fine −0.6 on token 0" in page


def test_very_long_messages_are_shortened():
    error = ErrorReport("ValueError", "x" * 100_000, None, None, Category.GLOBAL)
    assert len(gallery([example(["b"], error=error)])) < 5_000


def test_invisible_and_reordering_characters_are_spelled_out():
    shown = copied(listing(example(["a\u202eb\x00\u00a0\u200b"])))
    assert shown == "a‹U+202E›b‹U+0000›‹U+00A0›‹U+200B›"


@pytest.mark.parametrize("seed", range(20))
def test_what_training_writes_is_read_back(make_rollout, seed):
    rollout = make_rollout(random.Random(seed), 0.3, version=12, draw=3)
    read = example_from_record(rollout_record(rollout, iteration=5))
    assert (read.iteration, read.version, read.draw) == (5, 12, 3)
    assert read.program == rollout.program.text
    assert read.offsets == rollout.program.offsets
    assert read.error == rollout.verdict.error
    assert [c.span for c in read.credits] == [c.span for c in rollout.credits]


@pytest.mark.parametrize("change", [{"credits": [{"term": "f", "value": 1, "span": [0, 99]}]}, {"passed": "many"}])
def test_records_of_another_shape_are_refused(make_rollout, change):
    record = rollout_record(make_rollout(random.Random(1), 0.3, 1, 1), 0) | change
    with pytest.raises((KeyError, TypeError, ValueError)):
        example_from_record(record)
