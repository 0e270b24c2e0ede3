"""Repair turns, followed by hand: what a turn reads, which programs count at the end, which failed programs wait, and
which problems of an iteration are repairs."""

import random

import pytest
from scripted_search import CRASH, HIDDEN, RIGHT, SHORTCUT, WRONG, Letters, OneExample, Scripted, Watched, pipeline_of

from rltf.inference.repair_turns import RepairTurns
from rltf.metrics.feedback import feedback_metrics
from rltf.rollouts.interfaces import MultiRoundSampler, ProblemPlan, RolloutMemory
from rltf.types import FinishReason, Outcome, Program, Rollout, Sampling, Verdict

REPORT = f"# This program fails: wrong_answer\n# {WRONG}\n# Its task:\n"


@pytest.fixture
def watched():
    executor = Watched()
    yield executor
    executor.close()


def turns_of(watched, sampler=None, names=("a", "b", "c", "d"), room=400, **options):
    pipeline = pipeline_of(OneExample(*names), sampler or Scripted(), watched)
    pipeline.policy.max_prompt_tokens = room
    turns = RepairTurns(pipeline, **options)
    pipeline.multi_round_sampler = turns
    return turns


def rollout(problem, outcome, text=WRONG, turn=0, greedy=False):
    program = Program(problem, text, (1,), (2,), ((0, 1),), (-0.5,), FinishReason.EOS, greedy=greedy, turn=turn)
    return Rollout(program, Verdict(outcome, int(outcome is Outcome.PASSED), 2))


def evaluated(turns, draws):
    problems = turns._pipeline.benchmark.problems("test")
    pending = turns.start_rollouts(problems, range(draws), Sampling(), seed=0)
    return [turns.finish_problem(group) for group in turns._pipeline.collect_verdicts(pending)]


def test_what_fails_the_examples_is_repaired_once_a_turn_and_the_last_turn_counts(watched):
    script = {"a": {0: (WRONG, -1.0), 1: (SHORTCUT, -1.0), 2: (CRASH, -1.0)}}
    script["a"] |= {3: (CRASH, -1.0), 5: (RIGHT, -1.0), 6: (RIGHT, -1.0)}
    turns = turns_of(watched, Scripted(policy=script), names="a", turns=2)
    [group] = evaluated(turns, 3)
    # draw 0: wrong, then a crash (3), then right (6); draw 1 passes the example and stays; draw 2: a crash, then right
    assert [program.draw for program in group.programs] == [6, 1, 5]
    assert [program.turn for program in group.programs] == [2, 0, 1]
    assert [v.outcome is Outcome.PASSED for v in group.verdicts] == [True, False, True]
    [result] = turns.results
    assert (result.first_round, result.last_round) == ((False, False, False), (True, False, True))
    assert result.programs == {"drawn": 3, "refined": 0, "repaired": 3}
    _, requests = turns._pipeline.sampler.requests[1]
    assert ["".join(map(chr, r.prompt_ids)) for r in requests] == [
        f"{REPORT}Add one (a).\n",
        "# This program fails: runtime_error, NameError: name 'y' is not defined, line 1\n"
        f"# {CRASH}\n# Its task:\nAdd one (a).\n",
    ]
    assert [r.turn for r in requests] == [1, 1]


def test_a_repair_sees_no_hidden_test(watched):
    script = {"a": {0: (WRONG, -1.0), 1: (RIGHT, -1.0)}}
    turns = turns_of(watched, Scripted(policy=script), names="a")
    tasks = [turns._task(problem) for problem in turns._pipeline.benchmark.problems("test")]
    turns.search(tasks, (0,), Sampling(), 0)
    assert watched.jobs
    assert not any(HIDDEN in job.tests for job in watched.jobs)


def test_equal_failed_programs_share_a_prompt(watched):
    script = {"a": {0: (WRONG, -1.0), 1: (WRONG, -1.0), 2: (RIGHT, -1.0), 3: (WRONG, -1.0)}}
    turns = turns_of(watched, Scripted(policy=script), names="a")
    [group] = evaluated(turns, 2)
    _, [request] = turns._pipeline.sampler.requests[1]
    assert request.draws == (2, 3)
    assert [v.outcome is Outcome.PASSED for v in group.verdicts] == [True, False]


def test_what_does_not_fit_is_not_repaired_and_is_counted_in_training(watched):
    script = {"a": {0: (WRONG, -1.0)}}
    turns = turns_of(watched, Scripted(policy=script), names="a", room=len(REPORT + "Add one (a).\n"))
    [group] = evaluated(turns, 1)
    assert [program.turn for program in group.programs] == [0]
    [problem] = turns._pipeline.benchmark.problems("train")
    turns.update(problem, [rollout("a", Outcome.WRONG_ANSWER)])
    assert turns.metrics() == {"repair/pool": 0.0, "repair/too_long": 1.0}
    assert turns_of(watched, names="a", room=401)._prompt_ids(problem, group.programs[0], group.verdicts[0])


def test_the_pool_has_the_first_failed_program_of_a_problems_newest_group(watched):
    turns = turns_of(watched, pool=2)
    a, b, c, _ = turns._pipeline.benchmark.problems("train")
    greedy = rollout("a", Outcome.TIMEOUT, CRASH, greedy=True)
    turns.update(a, [greedy, rollout("a", Outcome.PASSED, RIGHT), rollout("a", Outcome.WRONG_ANSWER)])
    [(prompt_ids, turn)] = turns._pool.values()
    assert ("".join(map(chr, prompt_ids)), turn) == (f"{REPORT}Add one (a).\n", 1)
    turns.update(b, [rollout("b", Outcome.WRONG_ANSWER)])
    turns.update(a, [rollout("a", Outcome.WRONG_ANSWER, SHORTCUT)])
    turns.update(c, [rollout("c", Outcome.WRONG_ANSWER)])
    assert list(turns._pool) == ["a", "c"]  # b was the oldest of three
    turns.update(a, [rollout("a", Outcome.PASSED, RIGHT)])
    turns.update(c, [rollout("c", Outcome.WRONG_ANSWER, turn=1)])  # the last turn
    assert turns._pool == {}


def test_an_iteration_has_the_share_of_repairs_that_wait_and_their_prompts_report_the_failure(watched):
    script = {name: dict.fromkeys((0, 1), (RIGHT, -1.0)) for name in "abcd"}
    turns = turns_of(watched, Scripted(policy=script), share=0.5)
    pipeline = turns._pipeline
    problems = pipeline.benchmark.problems("train")
    order = turns.problem_order(problems, seed=3, rank=0, world_size=1)
    first = order.next_indices(2)
    assert len(set(first)) == 2  # nothing waits yet
    turns.update(problems[first[0]], [rollout(problems[first[0]].id, Outcome.WRONG_ANSWER)])
    *plain, repaired = order.next_indices(2)
    assert repaired == first[0]
    assert len(plain) == 1
    assert plain[0] not in first
    chosen = [problems[i] for i in (*plain, repaired)]
    pending = pipeline.start_rollouts(chosen, range(2), Sampling(), 0, training=True)
    groups = pipeline.collect_rollouts(pending)
    assert [[r.program.turn for r in group] for group in groups] == [[0, 0], [1, 1]]
    assert "".join(map(chr, groups[1][0].program.prompt_ids)) == f"{REPORT}Add one ({problems[repaired].id}).\n"
    metrics = feedback_metrics([r for group in groups for r in group])
    assert (metrics["rollout/repair/share"], metrics["rollout/repair/passed"]) == (0.5, 1.0)
    assert metrics["rollout/repair/some_pass"] == 0.0
    again = pipeline.start_rollouts(chosen, range(2), Sampling(), 1, training=True)  # a repair is drawn once
    assert {p.turn for _, programs, _ in again.groups for p in programs} == {0}


def test_a_problem_is_no_repair_where_it_has_its_turn_in_the_same_iteration(watched):
    turns = turns_of(watched, share=0.5)
    problems = turns._pipeline.benchmark.problems("train")
    for problem in problems:
        turns.update(problem, [rollout(problem.id, Outcome.WRONG_ANSWER)])
    assert turns.choose(3, ["a", "b"], random.Random(0)) in (["c", "d"], ["d", "c"])
    assert list(turns._pool) == ["a", "b"]


def test_pool_and_order_go_on_where_their_state_was_taken(watched):
    def made():
        turns = turns_of(watched, share=0.5)
        return turns, turns.problem_order(turns._pipeline.benchmark.problems("train"), 5, 0, 1)

    (turns, order), (other, other_order) = made(), made()
    problems = turns._pipeline.benchmark.problems("train")
    for problem in problems:
        turns.update(problem, [rollout(problem.id, Outcome.WRONG_ANSWER)])
    order.next_indices(2)
    other._pipeline.load_state_dict(turns._pipeline.state_dict())
    other_order.load_state_dict(order.state_dict())
    assert other.metrics() == turns.metrics()
    assert [order.next_indices(2) for _ in range(3)] == [other_order.next_indices(2) for _ in range(3)]
    assert other._due == turns._due
    with pytest.raises(ValueError, match="in which no problem comes back"):
        order.load_state_dict({"passes": 0})


def test_it_is_what_training_asks_of_it(watched):
    turns = turns_of(watched)
    assert isinstance(turns, MultiRoundSampler)
    assert isinstance(turns, ProblemPlan)
    assert isinstance(turns, RolloutMemory)
    assert len(turns.problem_order(turns._pipeline.benchmark.problems("train"), 0, 0, 2)) == 2
    assert len(turns.demonstration_order(turns._pipeline.benchmark.problems("train"), 0, 0, 2)) == 2


@pytest.mark.parametrize("options", [{"share": 0.0}, {"share": 1.0}, {"pool": 0}, {"turns": 0}])
def test_repair_turns_that_cannot_be_are_refused_by_their_key(watched, options):
    with pytest.raises(ValueError, match=rf"^{next(iter(options))} is"):
        turns_of(watched, **options)


def test_letters_are_the_policy_of_these_tests():
    assert Letters().decode((97, 0)) == ("a", ((0, 1), (1, 1)))
