"""Credit for executed code only: from lines to tokens to the gradient."""

from dataclasses import replace

import pytest
import torch
from rollout_strategies import build_rollout

from rltf.algorithms.grpo import GRPO
from rltf.algorithms.objective import BatchLogprobs, TokenScores
from rltf.algorithms.reinforce import Reinforce
from rltf.credit.executed import ExecutedLinesCredit
from rltf.execution import LocalExecutor
from rltf.rewards.spans import tokens_within_lines
from rltf.rollouts.collate import collate
from rltf.types import CallTest, Credit, FinishReason, Job, Outcome, Program, Rollout, Verdict

TEXT = "def f(x):\n    if x:\n        return 1\n    else:\n        return 2\n"


def program_of(pieces, finish=FinishReason.EOS, lead=""):
    ends = [len(lead) + sum(map(len, pieces[: i + 1])) for i in range(len(pieces))]
    offsets = tuple((end - len(piece), end) for piece, end in zip(pieces, ends, strict=True))
    ids = tuple(range(10, 10 + len(pieces)))
    return Program("p", lead + "".join(pieces), (1,), ids, offsets, (-1.0,) * len(pieces), finish)


def silent_tokens(program, lines):
    return tokens_within_lines(program.text, program.offsets, lines)


def rollout_of(program, unexecuted, advantage=0.5, credits=()):
    verdict = Verdict(Outcome.WRONG_ANSWER, 0, 1, unexecuted=unexecuted)
    return Rollout(program, verdict, tuple(credits), advantage, 0.0, advantage)


LINES = program_of([*TEXT.splitlines(keepends=True), ""])


def test_tokens_of_the_branch_not_taken_weigh_nothing_and_the_end_of_sequence_keeps_its_weight():
    [weighed] = ExecutedLinesCredit()([rollout_of(LINES, (4, 5))])
    assert weighed.weights == (0.5, 0.5, 0.5, 0.0, 0.0, 0.5)


def test_span_credits_on_unexecuted_lines_weigh_nothing_either():
    blame = Credit("fine", -1.0, (0, 6))
    [weighed] = ExecutedLinesCredit()([rollout_of(LINES, (3,), credits=[blame])])
    assert weighed.weights == (-0.5, -0.5, 0.0, -0.5, -0.5, -0.5)


def test_a_token_on_two_lines_counts_as_executed_when_one_of_them_is():
    program = program_of(["a\n  ", "b", "\n", "c", " # é\n\n", "d"])  # lines: a | b | c, its comment | blank | d
    assert silent_tokens(program, (2,)) == {1, 2}
    assert silent_tokens(program, (1, 2)) == {0, 1, 2}
    assert silent_tokens(program, (3,)) == {3}
    assert silent_tokens(program, (3, 4)) == {3, 4}
    assert silent_tokens(program, (9,)) == set()


def test_given_text_moves_no_token():
    program = program_of(["x):\n", "    return y\n"], lead="def f(")
    assert silent_tokens(program, (1,)) == {0}


@pytest.mark.parametrize("unexecuted", [None, ()])
def test_programs_without_unexecuted_lines_stay_as_they_are(unexecuted):
    rollout = rollout_of(LINES, unexecuted)
    assert ExecutedLinesCredit()([rollout]) == [rollout]


@pytest.mark.parametrize(
    "objective", [Reinforce(), Reinforce(reduction="token_mean", importance_clip=2.0), GRPO(eps_high=9.0)]
)
def test_gradient_at_masked_tokens_is_exactly_zero_and_elsewhere_as_without_the_mask(objective):
    logits_BTV = torch.randn(1, 6, 4, generator=torch.Generator().manual_seed(0))

    def gradient(rollout):
        leaf = logits_BTV.clone().requires_grad_()
        objective(BatchLogprobs(collate([rollout], 0, "right"), leaf.log_softmax(-1)[..., 2])).total.backward()
        return leaf.grad

    plain = gradient(rollout_of(LINES, None))
    masked = gradient(*ExecutedLinesCredit()([rollout_of(LINES, (4, 5))]))
    assert not masked[0, 3:5].any()
    assert plain[0, 3:5].abs().min() > 0
    kept = [0, 1, 2, 5]
    assert torch.equal(masked[0, kept], plain[0, kept])
    ones = replace(rollout_of(LINES, None), weights=(0.5,) * 6)
    assert torch.equal(gradient(ones), plain)


def test_tokens_that_are_left_out_feel_no_kl_and_count_in_no_mean():
    objective = GRPO(kl=0.5, reduction="token_mean")
    counts, pulls = [], []
    for leave_out in (False, True):
        batch = collate(ExecutedLinesCredit(leave_out)([rollout_of(LINES, (4, 5))]), 0, "right")
        leaf_BT = batch.old_logprobs_BT.clone().requires_grad_()
        loss = objective(BatchLogprobs(batch, leaf_BT, TokenScores(leaf_BT.detach() - 1.0)))
        loss.total.backward()
        counts.append(int(loss.count))
        pulls.append([t for t in (3, 4) if leaf_BT.grad[0, t] != 0])
        assert batch.response_mask_BT.all()
        assert torch.equal(batch.old_logprobs_BT, torch.full((1, 6), -1.0))
        assert batch.weight_BT.tolist() == [[0.5, 0.5, 0.5, 0.0, 0.0, 0.5]]
    assert counts == [6, 4]
    assert pulls == [[3, 4], []]


def test_the_sandboxs_lines_reach_the_tokens():
    with LocalExecutor(workers=1) as executor:
        verdict = executor.submit(Job(TEXT, (CallTest("f", (0,), 2),), coverage=True)).result()
    rollout = replace(rollout_of(LINES, None), verdict=verdict)
    assert ExecutedLinesCredit()([rollout])[0].weights == (0.5, 0.5, 0.0, 0.5, 0.5, 0.5)


def test_other_rollouts_of_a_harvest_keep_their_places():
    first, second = build_rollout(draw=1), rollout_of(LINES, (5,))
    assert [r.program.draw for r in ExecutedLinesCredit()([first, second, first])] == [1, 0, 1]
