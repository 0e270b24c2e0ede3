"""Replay of own prefixes: how much of which program the next ones begin with, worked out by hand, and that what is
replayed is context alone."""

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
from rltf.rollouts.pipeline import RolloutPipeline
from rltf.types import FinishReason, Outcome, Problem, Program, Prompt, Rollout, Sampling, Verdict

PROBLEM = Problem("a", "", ())
TEN = tuple(range(100, 110))
TINY = {"d_model": 16, "layers": 1, "heads": 2}


class Unbounded:
    context = None


class Bounded:
    context = 20

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


def test_a_problem_that_is_too_hard_begins_with_an_own_program_that_passed():
    curriculum = replay(gain=1.0)
    assert curriculum.prefix_ids(PROBLEM) == ()
    curriculum.update(PROBLEM, [rollout(False, (9, 9, 0)), rollout(True, (*TEN, 0)), *[rollout(False, (9, 0))] * 2])
    # one of four passes: the lead is 0.5 - 0.25 of the ten tokens before the end token, 2.5, which round() makes 2
    assert curriculum.prefix_ids(PROBLEM) == TEN[:2]
    assert curriculum.metrics() == {
        "curriculum/problems": 1.0,
        "curriculum/given_share": 0.25,
        "curriculum/whole_share": 0.0,
        "curriculum/head_start_share": 1.0,
        "curriculum/handicap_share": 0.0,
        "curriculum/unmet_share": 0.0,
    }
    # none of two passes behind the prefix: 0.25 + 0.5
    curriculum.update(PROBLEM, [rollout(False, (7, 0), TEN[:2])] * 2)
    assert curriculum.prefix_ids(PROBLEM) == TEN[:8]


def test_half_that_pass_leave_everything_as_it_is():
    curriculum = replay(gain=1.0)
    curriculum.update(PROBLEM, [rollout(True, (*TEN, 0)), rollout(False, (9, 0))])
    assert curriculum.prefix_ids(PROBLEM) == ()
    assert curriculum.metrics()["curriculum/whole_share"] == 1.0


def test_a_problem_that_is_too_easy_begins_with_an_own_program_that_failed_and_may_be_left_alone():
    passes = [rollout(True, (1, 2, 0))] * 3
    for handicap, expected in ((True, TEN[:2]), (False, ())):
        curriculum = replay(gain=1.0, handicap=handicap)
        curriculum.update(PROBLEM, [*passes, rollout(False, (*TEN, 0))])  # 0.5 - 0.75
        assert curriculum.prefix_ids(PROBLEM) == expected
        assert curriculum.metrics()["curriculum/handicap_share"] == float(handicap)
        assert curriculum.metrics()["curriculum/unmet_share"] == 0.0


def test_the_lead_never_exceeds_its_longest_and_comes_back_through_nothing():
    curriculum = replay(gain=1.0, longest=0.6)
    curriculum.update(PROBLEM, [rollout(True, (*TEN, 0)), *[rollout(False, (9, 0))] * 9])  # 0.4
    given = curriculum.prefix_ids(PROBLEM)
    assert given == TEN[:4]
    curriculum.update(PROBLEM, [rollout(False, (9, 0), given)])  # 0.9, but 0.6 at most
    assert curriculum.prefix_ids(PROBLEM) == TEN[:6]
    curriculum.update(PROBLEM, [rollout(True, (5, 0), TEN[:6])] * 2)  # 0.1 of the seven tokens that passed last
    assert curriculum.prefix_ids(PROBLEM) == TEN[:1]
    curriculum.update(PROBLEM, [rollout(True, (5, 0), TEN[:1])] * 2)  # 0.1 - 0.5, a handicap
    assert curriculum.prefix_ids(PROBLEM) == (*TEN[:4], 9)[:2]


def test_without_a_program_that_passed_there_is_no_head_start_and_that_is_counted():
    curriculum = replay()
    curriculum.update(PROBLEM, [rollout(False, (*TEN, 0))] * 4)
    assert curriculum.prefix_ids(PROBLEM) == ()
    metrics = curriculum.metrics()
    assert (metrics["curriculum/unmet_share"], metrics["curriculum/whole_share"]) == (1.0, 1.0)


def test_greedy_programs_and_those_that_the_limit_cut_are_not_replayed():
    curriculum = replay(gain=1.0)
    cut = rollout(True, TEN, finish=FinishReason.LENGTH)
    curriculum.update(PROBLEM, [rollout(True, (*TEN, 0), greedy=True), cut, *[rollout(False, (9, 0))] * 3])
    assert curriculum.prefix_ids(PROBLEM) == ()
    assert curriculum.metrics()["curriculum/unmet_share"] == 1.0


def test_programs_with_another_prefix_move_nothing():
    curriculum = replay(gain=1.0)
    curriculum.update(PROBLEM, [rollout(True, (*TEN, 0)), *[rollout(False, (9, 0))] * 9])
    late = [rollout(False, (9, 0))] * 10  # drawn before the first group was judged
    curriculum.update(PROBLEM, late)
    assert curriculum.prefix_ids(PROBLEM) == TEN[:4]


def test_a_prefix_leaves_room_in_the_context():
    curriculum = replay(Bounded, gain=1.0, new_tokens=10)
    curriculum.update(PROBLEM, [rollout(True, (*TEN, 0)), *[rollout(False, (9, 0))] * 9])
    assert curriculum.prefix_ids(PROBLEM) == TEN[:2]  # of four: 20 - 8 of the prompt - 10 to come


def test_a_replay_goes_on_where_its_state_was_taken():
    curriculum, other = replay(gain=1.0), replay(gain=1.0)
    curriculum.update(PROBLEM, [rollout(True, (*TEN, 0)), *[rollout(False, (9, 0))] * 9])
    other.load_state_dict(curriculum.state_dict())
    for each in (curriculum, other):
        each.update(PROBLEM, [rollout(True, (5, 0), TEN[:4])] * 2)
    assert other.state_dict() == curriculum.state_dict()
    assert other.metrics() == curriculum.metrics()


@pytest.mark.parametrize(
    "options",
    [
        *({"target": 0.0}, {"target": 1.0}, {"gain": 0.0}, {"gain": 1.1}, {"longest": 1.0}, {"handicap": 2}),
        {"new_tokens": 0},
    ],
)
def test_a_replay_that_cannot_be_is_refused_by_its_key(options):
    with pytest.raises(ValueError, match=rf"^{next(iter(options))} is"):
        replay(**options)


@pytest.mark.parametrize("kind", [tiny_t5, tiny_causal])
def test_what_is_replayed_is_the_tokens_that_were_drawn_and_gets_no_gradient(kind):
    policy = kind(**TINY, d_ff=16) if kind is tiny_t5 else kind(**TINY)
    mini = Mini(sizes={"train": 6, "validation": 1, "test": 1})
    curriculum = PrefixReplay(mini, policy, gain=1.0, handicap=True, target=0.01)
    problems = list(mini.problems("train"))
    sampling = Sampling(temperature=0.7, max_new_tokens=12)
    with LocalExecutor(workers=2) as executor:
        pipeline = RolloutPipeline(
            *(mini, policy, Engine(), executor, RewardStack({"coarse": Coarse()}), Advantages("group_mean")),
            PhaseClock(),
            curriculum=curriculum,
        )
        for problem in problems:  # as if all programs of a visit had passed, and one had failed before
            failed = rollout(False, range(40, 50))
            curriculum.update(problem, [failed])
            curriculum.update(problem, [rollout(True, (7, 0))])
        assert {curriculum.prefix_ids(p) for p in problems} == {tuple(range(40, 48))}  # longest: 0.9 of nine
        pending = pipeline.start_rollouts(problems, range(3), sampling, 1, training=True)
        rollouts = [r for group in pipeline.collect_rollouts(pending) for r in group]
    assert {r.program.prefix_ids for r in rollouts} == {tuple(range(40, 48))}
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
