"""Replay of own prefixes: which problems come back and how much of which program theirs begin with, worked out by hand,
and that what is replayed is context alone."""

import pytest
import torch

from rltf.algorithms.advantages import Advantages
from rltf.algorithms.objective import BatchLogprobs
from rltf.algorithms.reinforce import Reinforce
from rltf.benchmarks.mini import Mini
from rltf.curricula.replay import PrefixReplay
from rltf.execution import LocalExecutor
from rltf.generation.engine.engine import Engine
from rltf.policies.tiny import tiny_causal, tiny_t5
from rltf.rewards.base import RewardStack
from rltf.rewards.coarse import Coarse
from rltf.rollouts.clock import PhaseClock
from rltf.rollouts.collate import collate
from rltf.rollouts.interfaces import ProblemPlan, RolloutMemory
from rltf.rollouts.pipeline import RolloutPipeline
from rltf.rollouts.problem_order import ProblemOrder
from rltf.types import FinishReason, Outcome, Problem, Program, Prompt, Rollout, Sampling, Verdict

PROBLEM = Problem("a", "", ())
TEN = tuple(range(100, 110))
TINY = {"d_model": 16, "layers": 1, "heads": 2}


class Unbounded:
    context = response_limit = None


class ShortDecoder:
    context, response_limit = None, 13


class Bounded:
    context, response_limit = 20, None

    def encode_prompt(self, prompt):
        return (1,) * 8


class Prompts:
    def prompt(self, problem):
        return Prompt("", "", "")


def rollout(passes, ids, prefix=(), finish=FinishReason.EOS, greedy=False):
    program = Program(
        *("a", "", (1,), tuple(ids), ((0, 0),) * len(ids), (-0.5,) * len(ids), finish),
        greedy=greedy,
        prefix_ids=tuple(prefix),
    )
    return Rollout(program, Verdict(Outcome.PASSED if passes else Outcome.WRONG_ANSWER, int(passes), 1))


def replay(policy=Unbounded, **options):
    return PrefixReplay(Prompts(), policy(), **options)


def comes_back(curriculum, problem=PROBLEM):
    """The prefix that the problem comes back with; None: it does not wait."""
    others = [name for name in "abcd" if name != problem.id]
    return curriculum.prefix_ids(problem) if curriculum.choose(1, others, None) else None


def test_a_problem_that_is_too_hard_comes_back_behind_an_own_program_that_passed():
    curriculum = replay()
    curriculum.update(PROBLEM, [rollout(False, (9, 9, 0)), rollout(True, (*TEN, 0)), *[rollout(False, (9, 0))] * 8])
    # one of ten passes: the lead is 0.5 - 0.1, of the ten tokens before the end token
    assert curriculum.metrics() == {
        "curriculum/waiting": 1.0,
        "curriculum/given_share": 0.4,
        "curriculum/head_start_share": 1.0,
        "curriculum/unmet": 0.0,
    }
    assert comes_back(curriculum) == TEN[:4]
    assert curriculum.prefix_ids(PROBLEM) == ()  # once
    assert comes_back(curriculum) is None
    curriculum.update(PROBLEM, [rollout(False, (7, 0), TEN[:4])] * 2)  # 0.4 + 0.5, 0.9 at most
    assert comes_back(curriculum) == TEN[:9]
    curriculum.update(PROBLEM, [rollout(passes, (7, 0), TEN[:9]) for passes in (True, False, False, False)])
    assert comes_back(curriculum) is None  # a quarter is near enough


def test_groups_near_the_target_do_not_come_back():
    for passed, returns in ((0, False), (1, True), (2, False), (6, False), (7, True)):
        curriculum = replay()
        group = [rollout(i < passed, (*TEN, 0)) for i in range(8)]
        curriculum.update(PROBLEM, group)
        assert bool(curriculum.metrics()["curriculum/waiting"]) == returns
        assert curriculum.metrics()["curriculum/unmet"] == float(passed == 0)


def test_a_problem_that_is_too_easy_comes_back_behind_an_own_program_that_failed_unless_it_is_left_alone():
    for handicap, expected in ((True, TEN[:4]), (False, None)):
        curriculum = replay(handicap=handicap)
        curriculum.update(PROBLEM, [*[rollout(True, (1, 2, 0))] * 9, rollout(False, (*TEN, 0))])  # 0.5 - 0.9
        assert curriculum.metrics()["curriculum/head_start_share"] == 0.0
        assert comes_back(curriculum) == expected
        assert curriculum.metrics()["curriculum/unmet"] == 0.0


def test_a_problem_comes_back_so_many_times_and_then_waits_for_its_turn():
    curriculum = replay(tries=2, gain=0.2)
    curriculum.update(PROBLEM, [rollout(True, (*TEN, 0)), *[rollout(False, (9, 0))] * 9])
    given = [comes_back(curriculum)]
    for _ in range(2):
        curriculum.update(PROBLEM, [rollout(False, (9, 0), given[-1])])
        given.append(comes_back(curriculum))
    assert given == [TEN[:1], TEN[:2], None]  # 0.2 * 0.4, and 0.2 * 0.5 more
    curriculum.update(PROBLEM, [rollout(False, (9, 0))] * 2)  # in its turn none passes, but one did before
    assert comes_back(curriculum) == TEN[:1]


def test_greedy_programs_and_those_that_the_limit_cut_are_not_replayed():
    curriculum = replay()
    cut = rollout(True, TEN, finish=FinishReason.LENGTH)
    curriculum.update(PROBLEM, [rollout(True, (*TEN, 0), greedy=True), cut, *[rollout(False, (9, 0))] * 7])
    assert comes_back(curriculum) is None
    assert curriculum.metrics()["curriculum/unmet"] == 1.0


def test_what_is_replayed_is_the_newest_program_with_its_own_prefix():
    curriculum = replay()
    curriculum.update(PROBLEM, [rollout(True, (*TEN, 0)), *[rollout(False, (9, 0))] * 9])
    assert comes_back(curriculum) == TEN[:4]
    group = [rollout(True, (5, 6, 7, 0), TEN[:4]), *[rollout(False, (9, 0), TEN[:4])] * 9]
    curriculum.update(PROBLEM, group)  # 0.4 + 0.4 of seven tokens
    assert comes_back(curriculum) == (*TEN[:4], 5, 6)


def test_the_newest_come_back_first_and_the_oldest_are_dropped():
    curriculum = replay(pool=3, share=0.5)
    for name in "abcd":
        group = [rollout(True, (*TEN, 0)), *[rollout(False, (9, 0))] * 9]
        curriculum.update(Problem(name, "", ()), group)
    assert [curriculum.waiting(n) for n in (2, 6, 20)] == [1, 3, 3]
    assert curriculum.choose(2, ["d"], None) == ["c", "b"]
    assert curriculum.metrics()["curriculum/waiting"] == 1.0


def test_an_iteration_has_problems_in_their_turn_and_those_that_come_back():
    curriculum = replay(share=0.5)
    problems = [Problem(name, "", ()) for name in "abcdef"]
    order = curriculum.problem_order(problems, 1, 0, 1)
    plain = ProblemOrder(6, 1).next_indices(6)
    assert order.next_indices(2) == plain[:2]
    curriculum.update(problems[plain[0]], [rollout(True, (*TEN, 0)), *[rollout(False, (9, 0))] * 9])
    assert order.next_indices(4) == [*plain[2:5], plain[0]]
    assert len(order) == len(curriculum.demonstration_order(problems, 1, 0, 1)) == 6
    assert isinstance(curriculum, ProblemPlan)
    assert isinstance(curriculum, RolloutMemory)


def test_a_prefix_leaves_room_in_the_context():
    curriculum = replay(Bounded, new_tokens=10)
    curriculum.update(PROBLEM, [rollout(True, (*TEN, 0)), *[rollout(False, (9, 0))] * 9])
    assert comes_back(curriculum) == TEN[:2]  # of four: 20 - 8 of the prompt - 10 to come
    curriculum = replay(ShortDecoder, new_tokens=10)
    curriculum.update(PROBLEM, [rollout(True, (*TEN, 0)), *[rollout(False, (9, 0))] * 9])
    assert comes_back(curriculum) == TEN[:3]  # 13 - 10


def test_a_replay_goes_on_where_its_state_was_taken():
    curriculum, other = replay(), replay()
    curriculum.update(PROBLEM, [rollout(True, (*TEN, 0)), *[rollout(False, (9, 0))] * 9])
    curriculum.update(Problem("b", "", ()), [rollout(False, (9, 9, 0)), *[rollout(True, (*TEN, 0))] * 9])
    prefix = comes_back(curriculum)  # of a, and its programs are not judged yet
    other.load_state_dict(curriculum.state_dict())
    for each in (curriculum, other):
        each.update(PROBLEM, [rollout(False, (5, 0), prefix)] * 2)
    assert other.state_dict() == curriculum.state_dict()
    assert other.metrics() == curriculum.metrics()
    assert comes_back(other) == comes_back(curriculum) == TEN[:9]


@pytest.mark.parametrize(
    "options",
    [
        *({"share": 1.0}, {"target": 0.0}, {"target": 1.0}, {"within": 0.5}, {"gain": 0.0}, {"gain": 2.1}),
        *({"longest": 1.0}, {"handicap": 2}, {"tries": 0}, {"pool": 0}, {"new_tokens": 0}),
    ],
)
def test_a_replay_that_cannot_be_is_refused_by_its_key(options):
    with pytest.raises(ValueError, match=rf"^{next(iter(options))} is"):
        replay(**options)


@pytest.mark.parametrize("kind", [tiny_t5, tiny_causal])
def test_what_is_replayed_is_the_tokens_that_were_drawn_and_gets_no_gradient(kind):
    policy = kind(**TINY, d_ff=16) if kind is tiny_t5 else kind(**TINY)
    mini = Mini(sizes={"train": 6, "validation": 1, "test": 1})
    curriculum = PrefixReplay(mini, policy)
    problems = list(mini.problems("train"))
    sampling = Sampling(temperature=0.7, max_new_tokens=12)
    with LocalExecutor(workers=2) as executor:
        pipeline = RolloutPipeline(
            *(mini, policy, Engine(), executor, RewardStack({"coarse": Coarse()}), Advantages("group_mean")),
            PhaseClock(),
            curriculum=curriculum,
        )
        for problem in problems:
            curriculum.update(problem, [rollout(False, range(40, 50)), *[rollout(True, (7, 0))] * 9])
        assert len(curriculum.choose(6, [], None)) == 6
        pending = pipeline.start_rollouts(problems, range(3), sampling, 1, training=True)
        rollouts = [r for group in pipeline.collect_rollouts(pending) for r in group]
    assert {r.program.prefix_ids for r in rollouts} == {tuple(range(40, 44))}  # 0.4 of nine
    batch = collate(rollouts, policy.pad_id, policy.prompt_padding)
    policy.eval()
    logprobs_BT, _ = policy.token_logprobs(
        batch.prompt_BS, batch.prompt_mask_BS, batch.response_BT, batch.response_mask_BT, sampling
    )
    torch.testing.assert_close(logprobs_BT[batch.mask_BT], batch.old_logprobs_BT[batch.mask_BT], rtol=1e-4, atol=1e-5)
    leaf_BT = logprobs_BT.detach().requires_grad_()
    loss = Reinforce(reduction="token_mean")(BatchLogprobs(batch, leaf_BT))
    loss.total.backward()
    assert not leaf_BT.grad[~batch.mask_BT].any()
    assert loss.count == sum(len(r.program.token_ids) for r in rollouts)
