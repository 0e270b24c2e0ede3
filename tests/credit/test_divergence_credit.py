"""Blame of a wrong answer on the statement that parts from the reference: from lines to tokens, by hand."""

import ast
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rltf.credit.chain import CreditChain
from rltf.credit.divergence import DivergenceCredit
from rltf.credit.executed import ExecutedLinesCredit
from rltf.execution import LocalExecutor
from rltf.execution.inside.sites import insert_records
from rltf.types import CallTest, Credit, Divergence, FinishReason, Job, Outcome, Program, Rollout, Verdict
from rltf.validation import OptionError

PIECES = ("def f(xs):\n", "    s = 0\n", "    for x in xs:\n", "        s += ", "2 * x", "\n", "    return s\n", "")
"""Tokens: lines 1, 2 and 3, three of line 4, line 5, end of sequence."""


def rollout_of(divergence, advantage=-0.5, credits=(), pieces=PIECES, **program):
    ends = [sum(map(len, pieces[: i + 1])) for i in range(len(pieces))]
    offsets = tuple((end - len(piece), end) for piece, end in zip(pieces, ends, strict=True))
    ids = tuple(range(len(pieces)))
    written = Program("p", "".join(pieces), (1,), ids, offsets, (-1.0,) * len(ids), FinishReason.EOS, **program)
    verdict = Verdict(Outcome.WRONG_ANSWER, 0, 1, divergence=divergence)
    return Rollout(written, verdict, tuple(credits), advantage, 0.0, advantage)


def weights(rollout, **options):
    [weighed] = DivergenceCredit(**options)([rollout])
    return weighed.weights


def test_tokens_of_the_diverging_line_keep_their_blame_and_the_others_have_none():
    assert weights(rollout_of(Divergence(1, 4, 4))) == (0, 0, 0, -0.5, -0.5, 0, 0, 0)
    assert weights(rollout_of(Divergence(1, 1, 1))) == (-0.5, 0, 0, 0, 0, 0, 0, 0)
    assert weights(rollout_of(Divergence(2, 5, 5))) == (0, 0, 0, 0, 0, 0, -0.5, 0)


def test_a_share_of_the_blame_stays_on_what_stands_before():
    assert weights(rollout_of(Divergence(1, 4, 4)), earlier=0.5) == (-0.25, -0.25, -0.25, -0.5, -0.5, 0, 0, 0)
    assert weights(rollout_of(Divergence(1, 4, 4)), earlier=1) == (-0.5, -0.5, -0.5, -0.5, -0.5, 0, 0, 0)


def test_a_statement_of_several_lines_is_blamed_from_its_first_token_to_its_last():
    assert weights(rollout_of(Divergence(1, 2, 4))) == (0, -0.5, -0.5, -0.5, -0.5, 0, 0, 0)
    straddling = ("a = ", "1\nb", " = 2", "\nc = 3", "")
    assert weights(rollout_of(Divergence(1, 2, 2), pieces=straddling)) == (0, -0.5, -0.5, 0, 0)


def test_what_a_program_earns_stays_where_it_is():
    assert weights(rollout_of(Divergence(1, 4, 4), advantage=0.5)) == (0.5,) * 8
    praise = Credit("prm", 0.75, (0, 4))
    assert weights(rollout_of(Divergence(1, 4, 4), credits=[praise])) == (0.25, 0.25, 0.25, 0.25, -0.5, 0, 0, 0)
    blame = Credit("prm", -0.25, (4, 7))
    assert weights(rollout_of(Divergence(1, 4, 4), credits=[blame])) == (0, 0, 0, -0.5, -0.75, 0, 0, 0)


@pytest.mark.parametrize("divergence", [None, Divergence(1, None, None)])
def test_where_no_line_is_known_the_program_stays_as_it_is(divergence):
    rollout = rollout_of(divergence)
    assert DivergenceCredit()([rollout]) == [rollout]


def test_a_line_that_the_policy_was_given_is_blamed_on_none_of_its_tokens():
    given = rollout_of(Divergence(1, 1, 1))
    program = replace(given.program, token_ids=(1,), offsets=((11, 40),), logprobs=(-1.0,), prefix_ids=(5, 6))
    rollout = replace(given, program=program)
    assert DivergenceCredit()([rollout]) == [rollout]


def test_it_takes_its_turn_in_a_chain():
    rollout = rollout_of(Divergence(1, 4, 4))
    rollout = replace(rollout, verdict=replace(rollout.verdict, unexecuted=(1, 2)))
    chain = CreditChain([ExecutedLinesCredit(), DivergenceCredit(earlier=1.0)])
    assert chain([rollout])[0].weights == (0, 0, -0.5, -0.5, -0.5, 0, 0, 0)
    assert (chain.needs_reference, chain.needs_coverage, chain.critic_kind) == (True, True, None)
    assert not CreditChain([ExecutedLinesCredit()]).needs_reference


def test_other_rollouts_of_a_harvest_keep_their_places_and_weights():
    first, second = rollout_of(None), rollout_of(Divergence(1, 4, 4))
    weighed = DivergenceCredit()([first, second, first])
    assert [w == first for w in weighed] == [True, False, True]


@given(
    st.builds(Divergence, st.just(1), st.none() | st.integers(1, 99), st.none() | st.integers(1, 99)),
    st.floats(-2, 2),
    st.floats(0, 1),
    st.lists(st.tuples(st.floats(-2, 2), st.integers(0, 7)), max_size=3),
)
def test_whatever_a_trace_says_no_weight_rises_above_0_or_falls(divergence, advantage, earlier, spans):
    credits = [Credit("prm", value, (start, start + 1)) for value, start in spans]
    rollout = rollout_of(divergence, advantage, credits)
    plain = [advantage + sum(value for value, start in spans if start == t) for t in range(8)]
    weighed = weights(rollout, earlier=earlier) or plain
    for without, weight in zip(plain, weighed, strict=True):
        assert weight == pytest.approx(without) if without >= 0 else without - 1e-9 <= weight <= 0
    if all(w < 0 for w in plain):
        assert min(weighed) < 0  # some token is to blame, whichever line is named


def test_the_sandboxs_line_reaches_the_tokens():
    rollout = rollout_of(None)
    reference = rollout.program.text.replace("2 * x", "x")
    with LocalExecutor(workers=1) as executor:
        job = Job(rollout.program.text, (CallTest("f", ([3],), 3),), reference=reference)
        verdict = executor.submit(job).result()
    assert weights(replace(rollout, verdict=verdict)) == (0, 0, 0, -0.5, -0.5, 0, 0, 0)


FORGING = (
    "def f(xs):\n",
    "    for c in [c for c in f.__code__.co_consts if hasattr(c, '_memory')]:\n",
    "        [setattr(c, '_at', 0), c._record({}, 5)]\n",
    "    s = 0\n",
    "    t = 1\n",
    "    return s\n",
    "",
)
"""Writes over its first value, so that another of its statements seems to be the first one that is wrong."""


def test_a_program_that_forges_its_trace_is_blamed_on_another_of_its_lines_and_on_no_less_than_one():
    sites = insert_records(ast.parse("".join(FORGING)))
    [number] = [n for n, site in enumerate(sites, start=1) if site.line == 4]
    rollout = rollout_of(None, pieces=[piece.format(number) for piece in FORGING])
    honest = "".join(FORGING).replace("setattr(c, '_at', 0), c._record({}, 5)", "c, xs")
    reference = honest.replace("return s", "return 7")
    with LocalExecutor(workers=1) as executor:
        tests = (CallTest("f", ([3],), 7),)
        forged = executor.submit(Job(rollout.program.text, tests, reference=reference)).result()
        plain = executor.submit(Job(rollout.program.text, tests)).result()
    assert (forged.outcome, forged.passed, forged.tests[0].status) == (plain.outcome, 0, plain.tests[0].status)
    assert forged.divergence == Divergence(1, 4, 4)  # and not line 6
    assert weights(replace(rollout, verdict=forged)) == (0, 0, 0, -0.5, 0, 0, 0)


@pytest.mark.parametrize("earlier", [-0.1, 1.5, "all"])
def test_a_share_is_between_0_and_1(earlier):
    with pytest.raises(OptionError, match=r"earlier is .*: expected"):
        DivergenceCredit(earlier=earlier)
