import pytest

from rltf.metrics.evaluation import Evaluation
from rltf.types import AssertTest, Category, ErrorReport, FinishReason, Outcome, Problem, Program, Verdict

P, W, E = Outcome.PASSED, Outcome.WRONG_ANSWER, Outcome.RUNTIME_ERROR


def problem(name, difficulty="", tags=()):
    return Problem(name, "", (AssertTest("assert True"),), difficulty=difficulty, tags=tags)


def update(evaluation, of, outcomes, greedy=None):
    drawn = [(o, False) for o in outcomes] + ([] if greedy is None else [(greedy, True)])
    programs = [
        Program(of.id, "", (), (), (), (), FinishReason.EOS, draw=-1 if g else i, greedy=g)
        for i, (_, g) in enumerate(drawn)
    ]
    error = ErrorReport("NameError", "", 1, 1, Category.LINE)
    verdicts = [Verdict(o, int(o is P), 1, error if o is E else None) for o, _ in drawn]
    evaluation.update(of, programs, verdicts)


@pytest.fixture
def result():
    evaluation = Evaluation(ks=[1, 2, 10])
    update(evaluation, problem("a", "easy", ("loop",)), [P, P, W, E, E], greedy=P)
    update(evaluation, problem("b", "hard", ("loop", "list")), [W] * 5, greedy=W)
    return evaluation.compute()


def test_pass_at_k_is_the_mean_over_problems_of_sampled_programs(result):
    assert result.pass_at_k == {1: pytest.approx((0.4 + 0) / 2), 2: pytest.approx((0.7 + 0) / 2)}


def test_k_above_the_number_of_programs_is_left_out(result):
    assert result.ks == (1, 2)


def test_intervals_hold_their_estimate(result):
    for k, (low, high) in result.intervals.items():
        assert 0 <= low <= result.pass_at_k[k] <= high <= 1


def test_greedy_programs_have_their_own_number(result):
    assert result.greedy_pass_at_1 == 0.5
    assert result.metrics()["greedy_pass@1"] == 0.5


def test_tests_passed_is_the_mean_share_over_problems_of_sampled_programs(result):
    assert result.tests_passed == pytest.approx((2 / 5 + 0) / 2)  # of one test each
    evaluation = Evaluation(ks=[1])
    programs = [Program("c", "", (), (), (), (), FinishReason.EOS, draw=i, greedy=i < 0) for i in (-1, 0, 1, 2)]
    verdicts = [Verdict(P, 4, 4), Verdict(W, 3, 4), Verdict(E, 1, 4), Verdict(Outcome.UNJUDGEABLE, 0, 4)]
    evaluation.update(problem("c"), programs, verdicts)
    assert evaluation.compute().tests_passed == pytest.approx((3 / 4 + 1 / 4) / 2)
    assert evaluation.compute().metrics()["tests_passed"] == pytest.approx(0.5)


def test_outcomes_and_errors_count_sampled_programs(result):
    assert result.outcomes() == {"runtime_error": 2, "wrong_answer": 6, "passed": 2}
    assert result.errors() == {"NameError": 2}
    assert result.metrics()["outcome/wrong_answer"] == pytest.approx(0.6)


def test_results_by_difficulty_and_by_construct(result):
    assert result.by_difficulty() == {"easy": {1: pytest.approx(0.4), 2: pytest.approx(0.7)}, "hard": {1: 0.0, 2: 0.0}}
    assert result.by_tag()["loop"][1] == pytest.approx(0.2)
    assert result.by_tag()["list"][1] == 0.0


def test_greedy_program_alone_counts_for_pass_at_1():
    evaluation = Evaluation(ks=[1])
    update(evaluation, problem("a"), [], greedy=P)
    result = evaluation.compute()
    assert result.pass_at_k == {1: 1.0}


def test_reset_forgets_everything_and_nothing_evaluated_is_refused():
    evaluation = Evaluation(ks=[1])
    update(evaluation, problem("a"), [P])
    evaluation.reset()
    with pytest.raises(ValueError, match="no problem was evaluated"):
        evaluation.compute()
