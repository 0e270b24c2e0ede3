"""The curriculum of completion subtasks: where programs begin, when they begin earlier, and that what was given is
context alone."""

import math

import pytest
import torch

from rltf.algorithms.advantages import Advantages
from rltf.algorithms.objective import BatchLogprobs
from rltf.algorithms.reinforce import Reinforce
from rltf.benchmarks.mini import Mini
from rltf.curricula.completion import CompletionCurriculum, statement_offsets
from rltf.execution import LocalExecutor
from rltf.generation.engine.engine import Engine
from rltf.policies.tiny import tiny_causal, tiny_t5
from rltf.rewards.base import RewardStack
from rltf.rewards.binary import Binary
from rltf.rollouts.clock import PhaseClock
from rltf.rollouts.collate import collate
from rltf.rollouts.pipeline import RolloutPipeline
from rltf.types import FinishReason, Outcome, Problem, Sample, Sampling

SIZES = {"train": 40, "validation": 1, "test": 1}
DEEP = """def f(xs):
    total = 0
    for x in xs:
        if x > 0:
            total += x
        elif x < -9:
            total -= 1
    while total > 99:
        total -= 1
    if not xs:
        return -1
    return total
"""
TINY = {"d_model": 16, "layers": 1, "heads": 2}


@pytest.fixture(scope="module", params=["t5", "causal"])
def policy(request):
    return tiny_t5(**TINY, d_ff=16) if request.param == "t5" else tiny_causal(**TINY)


@pytest.fixture(scope="module")
def mini():
    return Mini(sizes=SIZES, difficulties={"easy": 0.2, "medium": 0.4, "hard": 0.4})


@pytest.fixture(scope="module")
def executor():
    with LocalExecutor(workers=2) as pool:
        yield pool


class Scripted:
    """Writes the rest of the reference, or nothing at all where a draw is not `right`."""

    def __init__(self, mini, policy, right=lambda draw: True):
        self.answers = {p.id: policy.encode_answer(mini.answer(p, p.references[0])) for p in mini.problems("train")}
        self.policy, self.right = policy, right

    def sample(self, policy, requests, sampling, seed):
        for index, request in enumerate(requests):
            whole = self.answers[request.problem_id]
            assert whole[: len(request.prefix_ids)] == request.prefix_ids
            for draw in request.draws:
                ids = whole[len(request.prefix_ids) :] if self.right(draw) else (policy.eos_id,)
                yield Sample(index, draw, ids, (-0.5,) * len(ids), FinishReason.EOS)


def pipeline_of(mini, policy, executor, curriculum, sampler):
    rewards, advantages = RewardStack({"binary": Binary()}), Advantages("group_mean")
    return RolloutPipeline(mini, policy, sampler, executor, rewards, advantages, PhaseClock(), curriculum=curriculum)


def visit(pipeline, problems, training=True):
    pending = pipeline.start_rollouts(problems, range(2), Sampling(), seed=0, training=training)
    return pipeline.collect_rollouts(pending)


def test_points_are_the_lines_of_conditional_statements():
    lines = [DEEP.count("\n", 0, at) + 1 for at in statement_offsets(DEEP, "conditional")]
    assert lines == [3, 4, 6, 8, 10]  # for, if, elif, while, if
    assert len(statement_offsets(DEEP, "statement")) == 12
    assert statement_offsets("def f(:\n", "conditional") == []


@pytest.mark.parametrize(("stride", "lines"), [(1, [10, 8, 6, 4, 3]), (2, [10, 6, 3]), ("sqrt", [10, 4]), (9, [10])])
def test_prefixes_shrink_to_nothing_by_the_stride(mini, policy, stride, lines):
    problem = Problem("deep", "", (), entry_point="f", references=(DEEP.rstrip(),))
    starts, length = CompletionCurriculum(mini, policy, stride=stride).prefixes(problem)
    whole = policy.encode_answer(DEEP.rstrip())
    assert length == len(whole)
    assert starts[-1] == ()
    begins = [policy.decode(start)[0] for start in starts[:-1]]
    assert [DEEP.startswith(begin) for begin in begins] == [True] * len(begins)
    # a token may hold the line's end and the next line's blanks: then the prefix ends before it
    cut = ["".join(DEEP.splitlines(keepends=True)[: line - 1]) for line in lines]
    assert [len(begin) <= len(text) <= len(begin) + 6 for begin, text in zip(begins, cut, strict=True)] == [True] * len(
        lines
    )


@pytest.mark.parametrize("points", ["conditional", "statement"])
def test_prefix_and_rest_are_the_reference_token_by_token(mini, policy, points):
    curriculum = CompletionCurriculum(mini, policy, stride=1, points=points)
    several = 0
    for problem in mini.problems("train"):
        starts, length = curriculum.prefixes(problem)
        whole = policy.encode_answer(problem.references[0])
        assert length == len(whole) or len(starts) == 1
        assert all(whole[: len(start)] == start for start in starts)
        sizes = [len(start) for start in starts]
        assert sizes == sorted(set(sizes), reverse=True)
        assert sizes[-1] == 0
        conditions = statement_offsets(problem.references[0], points)
        assert len(starts) <= len(conditions) + 1
        assert len(starts) > 1 or not [c for c in conditions if c]
        several += len(starts) > 2
    assert several > 2


def test_a_policy_that_always_passes_writes_the_whole_program_after_as_many_visits_as_there_are_points(
    mini, policy, executor
):
    for stride in (1, "sqrt"):
        curriculum = CompletionCurriculum(mini, policy, stride=stride, points="statement")
        pipeline = pipeline_of(mini, policy, executor, curriculum, Scripted(mini, policy))
        problem = max(mini.problems("train"), key=lambda p: len(curriculum.prefixes(p)[0]))
        points = len(
            {s for s in CompletionCurriculum(mini, policy, stride=1, points="statement").prefixes(problem)[0] if s}
        )
        moves = points if stride == 1 else math.ceil(points / math.ceil(math.sqrt(points)))
        given = []
        for _ in range(moves + 2):
            [group] = visit(pipeline, [problem])
            assert {r.verdict.outcome for r in group} == {Outcome.PASSED}
            assert {r.reward for r in group} == {1.0}
            given.append(len(group[0].program.prefix_ids))
        assert given[:moves] == sorted(given[:moves], reverse=True)
        assert all(given[:moves])
        assert given[moves:] == [0, 0]
        assert curriculum.metrics() == {
            "curriculum/problems": 1.0,
            "curriculum/given_share": 0.0,
            "curriculum/whole_share": 1.0,
            "curriculum/moves": float(moves),
        }


def test_a_policy_that_always_fails_stays_where_it_is(mini, policy, executor):
    curriculum = CompletionCurriculum(mini, policy)
    pipeline = pipeline_of(mini, policy, executor, curriculum, Scripted(mini, policy, right=lambda draw: False))
    problems = [p for p in mini.problems("train") if len(curriculum.prefixes(p)[0]) > 1][:4]
    first = [curriculum.prefix_ids(p) for p in problems]
    for _ in range(3):
        visit(pipeline, problems)
    assert [curriculum.prefix_ids(p) for p in problems] == first
    assert curriculum.metrics()["curriculum/moves"] == 0.0


def test_held_out_programs_are_never_begun(mini, policy, executor):
    curriculum = CompletionCurriculum(mini, policy)
    pipeline = pipeline_of(mini, policy, executor, curriculum, Scripted(mini, policy))
    groups = visit(pipeline, list(mini.problems("train"))[:8], training=False)
    assert all(r.program.prefix_ids == () for group in groups for r in group)
    assert curriculum.metrics() == {}


def test_a_problem_that_is_visited_twice_at_once_moves_once(mini, policy, executor):
    curriculum = CompletionCurriculum(mini, policy, stride=1, points="statement")
    pipeline = pipeline_of(mini, policy, executor, curriculum, Scripted(mini, policy))
    problem = max(mini.problems("train"), key=lambda p: len(curriculum.prefixes(p)[0]))
    visit(pipeline, [problem, problem])
    assert curriculum.state_dict()["moves"] == {problem.id: 1}


@pytest.mark.parametrize(("threshold", "moves"), [(0.5, 0), (0.49, 1)])
def test_the_share_that_passes_must_exceed_the_threshold(mini, policy, executor, threshold, moves):
    curriculum = CompletionCurriculum(mini, policy, threshold, points="statement")
    half = Scripted(mini, policy, right=lambda draw: draw == 0)
    problem = max(mini.problems("train"), key=lambda p: len(curriculum.prefixes(p)[0]))
    visit(pipeline_of(mini, policy, executor, curriculum, half), [problem])
    assert curriculum.state_dict()["moves"] == {problem.id: moves}


def test_a_curriculum_goes_on_where_its_state_was_taken(mini, policy, executor):
    curriculum = CompletionCurriculum(mini, policy, points="statement")
    pipeline = pipeline_of(mini, policy, executor, curriculum, Scripted(mini, policy))
    problems = list(mini.problems("train"))[:10]
    visit(pipeline, problems)
    other = CompletionCurriculum(mini, policy, points="statement")
    again = pipeline_of(mini, policy, executor, other, Scripted(mini, policy))
    again.load_state_dict(pipeline.state_dict())
    assert other.metrics() == curriculum.metrics()
    assert [other.prefix_ids(p) for p in problems] == [curriculum.prefix_ids(p) for p in problems]


def test_log_probs_behind_a_prefix_are_those_of_the_sampler_and_the_prefix_gets_no_gradient(mini, policy, executor):
    curriculum = CompletionCurriculum(mini, policy, points="statement")
    pipeline = pipeline_of(mini, policy, executor, curriculum, Engine())
    problems = list(mini.problems("train"))[:6]
    sampling = Sampling(temperature=0.7, max_new_tokens=12)
    rollouts = [
        r
        for g in pipeline.collect_rollouts(pipeline.start_rollouts(problems, range(3), sampling, 1, training=True))
        for r in g
    ]
    assert len({len(r.program.prefix_ids) for r in rollouts}) > 2
    batch = collate(rollouts, policy.pad_id, policy.prompt_padding)
    for rollout in rollouts:
        text, _ = policy.decode(rollout.program.prefix_ids)
        assert rollout.program.text.startswith(text)
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


@pytest.mark.parametrize(
    "options", [{"threshold": 1.0}, {"threshold": -0.1}, {"stride": 0}, {"stride": "half"}, {"points": "lines"}]
)
def test_a_curriculum_that_cannot_be_is_refused_by_its_key(mini, policy, options):
    with pytest.raises(ValueError, match=rf"^{next(iter(options))} is"):
        CompletionCurriculum(mini, policy, **options)


def test_a_reference_that_the_format_cannot_hold_or_that_does_not_parse_gives_no_prefix(policy):
    class Picky(Mini):
        def answer(self, problem, program):
            if program.startswith("import"):
                raise ValueError("no room for imports")
            return program

    curriculum = CompletionCurriculum(Picky(sizes=SIZES), policy)
    assert curriculum.prefixes(Problem("none", "", ())) == ([()], 1)
    assert curriculum.prefixes(Problem("imports", "", (), references=("import math\n" + DEEP,))) == ([()], 1)
    assert curriculum.prefixes(Problem("broken", "", (), references=("def f(:\n    if",)))[0] == [()]
    second = Problem("second", "", (), references=("import math\n" + DEEP, DEEP))
    assert len(curriculum.prefixes(second)[0]) == 3
