"""Credit test by test: worked by hand, and what must hold for every group of programs."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rltf.credit.per_test import PerTestCredit, executing_tests
from rltf.execution import LocalExecutor
from rltf.rewards.adaptive import Adaptive
from rltf.types import (
    CallTest,
    Category,
    Credit,
    ErrorReport,
    FinishReason,
    Job,
    Outcome,
    Program,
    Rollout,
    TestResult,
    Verdict,
)
from rltf.validation import OptionError

PASSED, WRONG, ERROR, SYNTAX = Outcome.PASSED, Outcome.WRONG_ANSWER, Outcome.RUNTIME_ERROR, Outcome.SYNTAX_ERROR
PIECES = ("def f(x):\n", "    if x:\n", "        return 1\n", "    return 2\n", "")
"""A token a line, and the end of sequence."""


def rollout_of(results, unexecuted=(), pieces=PIECES, problem_id="p", greedy=False, credits=()):
    """A program with (status, executed lines) of each test."""
    ends = [sum(map(len, pieces[: i + 1])) for i in range(len(pieces))]
    offsets = tuple((end - len(piece), end) for piece, end in zip(pieces, ends, strict=True))
    ids = tuple(range(len(pieces)))
    program = Program(problem_id, "".join(pieces), (1,), ids, offsets, (-1.0,) * len(ids), FinishReason.EOS)
    tests = tuple(TestResult(status, 0.0, executed=executed) for status, executed in results)
    worst = min((status for status, _ in results), key=lambda status: status.stage)
    passed = sum(status is PASSED for status, _ in results)
    verdict = Verdict(worst, passed, len(tests), tests=tests, unexecuted=unexecuted)
    return Rollout(replace(program, greedy=greedy, draw=-1 if greedy else 0), verdict, tuple(credits))


BRANCHES = rollout_of([(PASSED, (1, 2, 3)), (WRONG, (1, 2, 4)), (ERROR, (1, 2, 4))])
BETTER = rollout_of([(PASSED, (1, 2, 3)), (PASSED, (1, 2, 3)), (WRONG, (1, 2, 4))])
BROKEN = rollout_of([(SYNTAX, None)] * 3, unexecuted=None)
# values of the three tests: BRANCHES 1, -0.3, -0.6; BETTER 1, 1, -0.3; BROKEN -1, -1, -1; means 1/3, -0.1, -1.9/3
# advantages:                BRANCHES 2/3, -0.2, 1/30; BETTER 2/3, 1.1, 1/3; BROKEN -4/3, -0.9, -11/30


def ladder(**options):
    """The credit with RLTF's coarse values, sums, and blame for every token of a program that does not compile."""
    values = {"wrong_answer": -0.3, "error": -0.6, "syntax_error": -1.0, "reduce": "sum", "uncompiled": "all"}
    return PerTestCredit(**(values | options))


def test_by_default_tests_pass_or_fail_and_a_line_gets_the_mean_of_its_own():
    error = ErrorReport("SyntaxError", "expected ':'", 2, 2, Category.LINE)
    located = replace(BROKEN, verdict=replace(BROKEN.verdict, error=error))
    branches, better, broken = PerTestCredit()([BRANCHES, BETTER, located])
    # means of the tests 2/3, 1/3, 0: advantages 1/3, -1/3, 0; 1/3, 2/3, 0; -2/3, -1/3, 0
    assert branches.weights == pytest.approx((0.0, 0.0, 1 / 3, -1 / 6, 0.0))
    assert better.weights == pytest.approx((1 / 3, 1 / 3, 1 / 2, 0.0, 1 / 3))
    assert broken.weights == pytest.approx((0.0, -1 / 3, 0.0, 0.0, 0.0))


def test_three_programs_three_tests_and_four_lines_by_hand():
    branches, better, broken = ladder()([BRANCHES, BETTER, BROKEN])
    assert branches.weights == pytest.approx((1 / 6, 1 / 6, 2 / 9, -1 / 18, 1 / 6))
    assert better.weights == pytest.approx((0.7, 0.7, 53 / 90, 1 / 9, 0.7))
    assert broken.weights == pytest.approx((-13 / 15,) * 5)


def test_reduced_by_the_mean_a_line_gets_what_its_own_tests_say():
    branches, better, broken = ladder(reduce="mean")([BRANCHES, BETTER, BROKEN])
    assert branches.weights == pytest.approx((1 / 6, 1 / 6, 2 / 3, -1 / 12, 1 / 6))
    assert better.weights == pytest.approx((0.7, 0.7, 53 / 60, 1 / 3, 0.7))
    assert broken.weights == pytest.approx((-13 / 15,) * 5)


def test_a_program_that_does_not_compile_may_be_blamed_at_the_line_of_its_error_alone():
    error = ErrorReport("SyntaxError", "expected ':'", 2, 2, Category.LINE)
    located = replace(BROKEN, verdict=replace(BROKEN.verdict, error=error))
    credit = ladder(uncompiled="line")
    assert credit([BRANCHES, BETTER, located])[2].weights == pytest.approx((0, -13 / 15, 0, 0, 0))
    assert credit([BRANCHES, BETTER, BROKEN])[2].weights == pytest.approx((-13 / 15,) * 5)  # no line is named
    elsewhere = credit([BRANCHES, BETTER, located])[0].weights
    assert elsewhere == ladder()([BRANCHES, BETTER, BROKEN])[0].weights


def test_each_test_is_divided_by_its_own_spread_or_all_by_that_of_the_harvest():
    everywhere = (1, 2, 3, 4)
    group = [rollout_of([(status, everywhere), (PASSED, everywhere)]) for status in (PASSED, WRONG)]
    # first test: 1 and -0.3, population spread 0.65, sample spread 0.65 * 2**0.5; the second says nothing
    for normalize, size in {"none": 0.65, "std": 1.0, "sample_std": 0.5**0.5, "batch": 2**0.5}.items():
        weighed = ladder(normalize=normalize)(group)
        assert [r.weights[0] for r in weighed] == pytest.approx([size / 2, -size / 2])


def test_tests_that_everybody_passes_or_nobody_passes_alike_say_nothing():
    for status in (PASSED, WRONG, ERROR, SYNTAX):
        group = [rollout_of([(status, (1, 2))] * 2, unexecuted=(3, 4)) for _ in range(3)]
        for normalize in ("none", "std", "sample_std", "batch"):
            assert all(r.weights == (0.0,) * 5 for r in ladder(normalize=normalize)(group))


def test_a_test_that_nobody_passes_tells_errors_from_wrong_answers():
    wrong, error = ladder()([rollout_of([(status, (1, 2, 3))], unexecuted=(4,)) for status in (WRONG, ERROR)])
    assert wrong.weights == pytest.approx((0.15, 0.15, 0.15, 0.0, 0.15))
    assert error.weights == pytest.approx((-0.15, -0.15, -0.15, 0.0, -0.15))


@pytest.mark.parametrize("reduce", ["sum", "mean"])
def test_equals_adaptive_less_the_groups_mean_where_every_test_executes_every_line(reduce):
    everywhere = (1, 2, 3, 4)
    statuses = [(PASSED, WRONG, WRONG), (PASSED, PASSED, WRONG), (WRONG, WRONG, WRONG), (PASSED, PASSED, PASSED)]
    group = [rollout_of([(status, everywhere) for status in row]) for row in statuses]
    rewards = [Adaptive().value(r.verdict) for r in group]
    for rollout, reward in zip(ladder(reduce=reduce)(group), rewards, strict=True):
        assert rollout.weights == pytest.approx((reward - sum(rewards) / 4,) * 5)


def test_an_unjudgeable_test_is_no_part_of_its_programs_sum_nor_of_its_groups_mean():
    everywhere = (1, 2, 3, 4)
    group = [
        rollout_of([(WRONG, everywhere), (Outcome.UNJUDGEABLE, everywhere)]),
        rollout_of([(PASSED, everywhere), (PASSED, everywhere)]),
        rollout_of([(PASSED, everywhere), (WRONG, everywhere)]),
    ]  # first test: mean 1.7/3; second: 1 and -0.3, mean 0.35
    first, second, third = ladder()(group)
    assert first.weights == pytest.approx((-0.3 - 1.7 / 3,) * 5)
    assert second.weights == pytest.approx(((1 - 1.7 / 3 + 0.65) / 2,) * 5)
    assert third.weights == pytest.approx(((1 - 1.7 / 3 - 0.65) / 2,) * 5)
    unjudged = rollout_of([(Outcome.UNJUDGEABLE, everywhere)] * 2)
    assert ladder()([unjudged, unjudged])[0].weights == (0.0,) * 5


def test_span_credits_come_on_top_and_no_line_unexecuted_keeps_an_advantage():
    blame = Credit("fine", -1.0, (2, 4))
    group = [rollout_of([(status, (1, 2, 3))], (4,), credits=[blame]) for status in (PASSED, WRONG)]
    assert ladder()(group)[0].weights == pytest.approx((0.65, 0.65, -0.35, -1.0, 0.65))


def test_the_greedy_program_is_compared_with_the_sampled_ones_and_changes_no_mean():
    sampled = [rollout_of([(status, (1, 2, 3, 4))]) for status in (PASSED, WRONG)]
    greedy = rollout_of([(PASSED, (1, 2, 3, 4))], greedy=True)
    weighed = ladder()([greedy, *sampled])
    assert [r.weights[0] for r in weighed] == pytest.approx([0.65, 0.65, -0.65])
    assert ladder()([greedy])[0].weights == (0.0,) * 5


def test_problems_are_compared_by_themselves_and_a_given_beginning_makes_another_problem():
    group = [rollout_of([(status, (1, 2, 3, 4))]) for status in (PASSED, WRONG)]
    alone = rollout_of([(PASSED, (1, 2, 3, 4))], problem_id="q")
    given_start = replace(group[0], program=replace(group[0].program, prefix_ids=(3,)))
    weighed = ladder()([group[0], alone, given_start, group[1]])
    assert [r.weights[0] for r in weighed] == pytest.approx([0.65, 0.0, 0.0, -0.65])


def test_tokens_on_two_lines_belong_to_the_tests_of_both_and_unmarked_ends_to_all():
    pieces = ("def f(x):\n    if x:\n", "        return 1\n    ret", "urn 2\n", "# end\n", "")
    results = [(PASSED, (1, 2, 3)), (WRONG, (1, 2, 4))]
    tests = executing_tests(rollout_of(results, pieces=pieces), frozenset({0, 1}))
    assert tests == [{0, 1}, {0, 1}, {1}, {0, 1}, {0, 1}]


def test_a_test_that_was_not_run_counts_for_every_line_that_some_test_executed():
    results = [(ERROR, (1, 2)), (ERROR, None)]
    tests = executing_tests(rollout_of(results, unexecuted=(3, 4)), frozenset({0, 1}))
    assert tests == [{0, 1}, {0, 1}, set(), set(), {0, 1}]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"reduce": "max"}, "reduce is 'max': expected sum or mean"),
        ({"uncompiled": "token"}, "uncompiled is 'token': expected all or line"),
        ({"normalize": "rank"}, "normalize is 'rank': expected none, std, sample_std or batch"),
        ({"passed": float("inf")}, "passed is inf: expected a finite number"),
        ({"error": "low"}, "error is 'low': expected a finite number"),
    ],
)
def test_bad_options_are_one_sentence_with_key_value_and_expectation(options, sentence):
    with pytest.raises(OptionError, match=f"^{sentence}$"):
        PerTestCredit(**options)


statuses = st.sampled_from((PASSED, WRONG, ERROR, Outcome.TIMEOUT, Outcome.UNJUDGEABLE))
line_sets = st.sets(st.integers(2, 4)).map(lambda lines: (1, *sorted(lines)))


@st.composite
def groups(draw):
    """Programs of one problem, some of which do not compile."""
    tests = draw(st.integers(1, 4))
    rollouts = []
    for _ in range(draw(st.integers(2, 4))):
        if draw(st.booleans()):
            results = [(draw(statuses), draw(line_sets)) for _ in range(tests)]
            executed = {line for _, lines in results for line in lines}
            rollouts.append(rollout_of(results, tuple(sorted({2, 3, 4} - executed))))
        else:
            rollouts.append(rollout_of([(SYNTAX, None)] * tests, None))
    return rollouts


def with_tests(rollout, tests):
    return replace(rollout, verdict=replace(rollout.verdict, tests=tuple(tests)))


credits = st.builds(
    ladder, reduce=st.sampled_from(("sum", "mean")), normalize=st.sampled_from(("none", "std", "sample_std"))
)


@given(groups(), credits, st.randoms(use_true_random=False))
def test_the_order_of_tests_changes_no_weight(group, credit, random):
    order = list(range(len(group[0].verdict.tests)))
    random.shuffle(order)
    shuffled = [with_tests(r, [r.verdict.tests[t] for t in order]) for r in group]
    assert [r.weights for r in credit(shuffled)] == [r.weights for r in credit(group)]


@given(groups(), credits, st.data())
def test_a_lines_weight_depends_on_no_test_that_skipped_it(group, credit, data):
    changed_test = data.draw(st.integers(0, len(group[0].verdict.tests) - 1))
    fails = [
        with_tests(r, [replace(t, status=ERROR) if i == changed_test else t for i, t in enumerate(r.verdict.tests)])
        if r.verdict.outcome is not SYNTAX and r.verdict.tests[changed_test].status is not Outcome.UNJUDGEABLE
        else r
        for r in group
    ]
    for before, after in zip(credit(group), credit(fails), strict=True):
        executed = before.verdict.tests[changed_test].executed
        for line in {1, 2, 3, 4} - set(executed or (1, 2, 3, 4)):
            assert before.weights[line - 1] == after.weights[line - 1]


@given(groups(), credits, st.lists(line_sets, min_size=4, max_size=4))
def test_a_program_that_sets_marks_changes_its_own_weights_alone(group, credit, marks):
    if group[0].verdict.outcome is not SYNTAX:
        tests = [replace(test, executed=lines) for test, lines in zip(group[0].verdict.tests, marks, strict=False)]
        hostile = [with_tests(group[0], tests), *group[1:]]
        assert [r.weights for r in credit(hostile)[1:]] == [r.weights for r in credit(group)[1:]]


@given(groups(), credits)
def test_lines_that_no_test_executed_weigh_nothing(group, credit):
    for rollout in credit(group):
        assert all(rollout.weights[line - 1] == 0 for line in rollout.verdict.unexecuted or ())


def test_the_sandboxs_lines_reach_the_tokens_test_by_test():
    right = "".join(PIECES)
    wrong = right.replace("return 2", "return 3")
    tests = (CallTest("f", (0,), 2), CallTest("f", (1,), 1))
    with LocalExecutor(workers=1) as executor:
        verdicts = [executor.submit(Job(text, tests, coverage=True)).result() for text in (right, wrong)]
    group = [replace(rollout_of([(PASSED, None)]), verdict=verdict) for verdict in verdicts]
    assert [r.weights for r in ladder()(group)] == [
        pytest.approx((0.325, 0.325, 0.0, 0.325, 0.325)),
        pytest.approx((-0.325, -0.325, 0.0, -0.325, -0.325)),
    ]
