"""Rollouts for tests: a plain builder, and hypothesis strategies over everything a rollout can hold."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from rltf.types import (
    Category,
    Credit,
    Divergence,
    ErrorReport,
    FinishReason,
    Outcome,
    Program,
    Rollout,
    TestResult,
    Verdict,
)


def build_program(problem_id="p", length=3, draw=0, version=0, greedy=False, prompt_ids=(7, 8)):
    return Program(
        problem_id=problem_id,
        text="x" * length,
        prompt_ids=tuple(prompt_ids),
        token_ids=tuple(range(10, 10 + length)),
        offsets=tuple((i, i + 1) for i in range(length)),
        logprobs=(-0.5,) * length,
        finish=FinishReason.EOS,
        version=version,
        draw=-1 if greedy else draw,
        greedy=greedy,
    )


def build_rollout(advantage=1.0, credits=(), **program):
    verdict = Verdict(Outcome.PASSED, 1, 1)
    return Rollout(build_program(**program), verdict, tuple(credits), advantage, 0.0, advantage)


float32s = st.floats(allow_nan=False, allow_infinity=False, width=32)
texts = st.text(max_size=8)
outcomes = st.sampled_from(Outcome)
lines = st.none() | st.integers(1, 99)
errors = st.none() | st.builds(ErrorReport, texts, texts, lines, lines, st.sampled_from(Category))
results = st.builds(TestResult, outcomes, st.floats(0, 9), errors)
verdicts = st.builds(
    Verdict,
    outcomes,
    st.integers(0, 9),
    st.integers(0, 9),
    errors,
    st.lists(results, max_size=3).map(tuple),
    st.floats(0, 9),
    st.dictionaries(texts, texts, max_size=2),
    st.none() | st.lists(st.integers(1, 99), max_size=3).map(tuple),
    st.none() | st.builds(Divergence, st.integers(1, 9), lines, lines),
)


@st.composite
def programs(draw, max_length=5):
    length = draw(st.integers(0, max_length))
    ids = st.integers(0, 2**31 - 1)
    row = {"min_size": length, "max_size": length}
    return Program(
        problem_id=draw(texts),
        text=draw(texts),
        prompt_ids=tuple(draw(st.lists(ids, max_size=4))),
        token_ids=tuple(draw(st.lists(ids, **row))),
        offsets=tuple(draw(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99)), **row))),
        logprobs=tuple(draw(st.lists(float32s, **row))),
        finish=draw(st.sampled_from(FinishReason)),
        version=draw(st.integers(0, 10**6)),
        draw=draw(st.integers(-1, 99)),
        greedy=draw(st.booleans()),
        prefix_ids=tuple(draw(st.lists(ids, max_size=3))),
    )


@st.composite
def rollouts(draw, max_length=5):
    program = draw(programs(max_length))
    length = len(program.token_ids)
    bound = st.integers(0, length)
    spans = st.none() | st.tuples(bound, bound).map(lambda pair: (min(pair), max(pair)))
    credits = draw(st.lists(st.builds(Credit, texts, st.floats(-5, 5), spans), max_size=3))
    values = st.floats(-5, 5)
    rollout = Rollout(program, draw(verdicts), tuple(credits), draw(values), draw(values), draw(values))
    if length and draw(st.booleans()):
        excluded = draw(st.sets(st.integers(0, length - 1)))
        weights = tuple(0.0 if t in excluded else draw(float32s) for t in range(length))
        return replace(rollout, weights=weights, excluded_tokens=tuple(sorted(excluded)))
    return rollout
