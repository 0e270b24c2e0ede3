import dataclasses
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from rollout_strategies import build_rollout, rollouts

from rltf.algorithms.advantages import token_weights
from rltf.rollouts.collate import collate, collate_demonstrations, collate_programs
from rltf.types import Credit


@given(st.lists(rollouts(), min_size=1, max_size=5), st.sampled_from(["left", "right"]))
def test_real_tokens_of_a_batch_are_those_of_its_rollouts(originals, side):
    batch = collate(originals, pad_id=99, prompt_padding=side)
    for i, rollout in enumerate(originals):
        program = rollout.program
        prompt = batch.prompt_BS[i][batch.prompt_mask_BS[i]]
        mask = batch.response_mask_BT[i].clone()
        mask[: len(program.prefix_ids)] = False
        included = [t for t in range(len(program.token_ids)) if t not in rollout.excluded_tokens]
        assert batch.mask_BT[i].nonzero().flatten().tolist() == [len(program.prefix_ids) + t for t in included]
        assert tuple(prompt.tolist()) == program.prompt_ids
        assert tuple(batch.response_BT[i][mask].tolist()) == program.token_ids
        assert tuple(batch.response_BT[i][batch.response_mask_BT[i]].tolist()) == program.prefix_ids + program.token_ids
        assert tuple(batch.old_logprobs_BT[i][mask].tolist()) == program.logprobs
        assert batch.weight_BT[i][mask].tolist() == pytest.approx(token_weights(rollout), abs=1e-5)
        assert batch.version_B[i] == program.version
    assert (batch.response_BT[~batch.response_mask_BT] == 99).all()
    assert (batch.prompt_BS[~batch.prompt_mask_BS] == 99).all()
    assert (batch.weight_BT[~batch.mask_BT] == 0).all()
    assert (batch.old_logprobs_BT[~batch.response_mask_BT] == 0).all()


def test_responses_are_padded_on_the_right_and_prompts_where_the_policy_asks():
    pair = [build_rollout(length=1, prompt_ids=(5,)), build_rollout(length=3, prompt_ids=(6, 7, 8))]
    left, right = collate(pair, 0, "left"), collate(pair, 0, "right")
    assert left.prompt_BS.tolist() == [[0, 0, 5], [6, 7, 8]]
    assert right.prompt_BS.tolist() == [[5, 0, 0], [6, 7, 8]]
    for batch in (left, right):
        assert batch.response_BT.tolist() == [[10, 0, 0], [10, 11, 12]]
        assert batch.mask_BT.tolist() == [[True, False, False], [True, True, True]]


def test_span_weights_land_on_their_tokens():
    batch = collate([build_rollout(0.5, [Credit("fine", -1.0, (1, 2))], length=3)], 0, "right")
    assert batch.weight_BT.tolist() == [[0.5, -0.5, 0.5]]


def test_demonstrations_weigh_one_a_token_and_have_no_behaviour():
    batch = collate_demonstrations([((1, 2), (3,)), ((4,), (5, 6))], pad_id=0, prompt_padding="left")
    assert batch.prompt_BS.tolist() == [[1, 2], [0, 4]]
    assert batch.response_BT.tolist() == [[3, 0], [5, 6]]
    assert batch.weight_BT.tolist() == [[1.0, 0.0], [1.0, 1.0]]
    assert batch.old_logprobs_BT.abs().sum() == 0


def test_given_tokens_are_read_and_carry_neither_weight_nor_loss():
    begun = build_rollout(advantage=2.0, length=2)
    begun = replace(begun, program=replace(begun.program, prefix_ids=(90, 91)))
    batch = collate([begun, build_rollout(length=1)], 0, "left")
    assert batch.response_BT.tolist() == [[90, 91, 10, 11], [10, 0, 0, 0]]
    assert batch.response_mask_BT.tolist() == [[True] * 4, [True, False, False, False]]
    assert batch.mask_BT.tolist() == [[False, False, True, True], [True, False, False, False]]
    assert batch.weight_BT.tolist() == [[0.0, 0.0, 2.0, 2.0], [1.0, 0.0, 0.0, 0.0]]
    assert batch.old_logprobs_BT.tolist() == [[0.0, 0.0, -0.5, -0.5], [-0.5, 0.0, 0.0, 0.0]]


def test_tokens_that_credit_weighed_have_that_weight():
    assert collate([replace(build_rollout(length=3), weights=(0.5, 0.0, -1.0))], 0, "left").weight_BT.tolist() == [
        [0.5, 0.0, -1.0]
    ]


def test_excluded_tokens_are_read_and_carry_neither_weight_nor_loss():
    rollout = replace(build_rollout(length=3), weights=(0.5, 9.0, -1.0), excluded_tokens=(1,))
    batch = collate([replace(rollout, program=replace(rollout.program, prefix_ids=(90,)))], 0, "left")
    assert batch.response_mask_BT.tolist() == [[True] * 4]
    assert batch.mask_BT.tolist() == [[False, True, False, True]]
    assert batch.weight_BT.tolist() == [[0.0, 0.5, 0.0, -1.0]]
    assert batch.old_logprobs_BT.tolist() == [[0.0, -0.5, -0.5, -0.5]]


def test_programs_without_a_reward_weigh_one_a_drawn_token():
    rollout = build_rollout(advantage=7.0, length=2)
    program = replace(rollout.program, prefix_ids=(90,))
    batch = collate_programs([program], 0, "left")
    assert batch.mask_BT.tolist() == [[False, True, True]]
    assert batch.weight_BT.tolist() == [[0.0, 1.0, 1.0]]


def test_batch_has_the_types_that_policies_and_objectives_expect():
    expected = {
        "prompt_BS": torch.int64,
        "prompt_mask_BS": torch.bool,
        "response_BT": torch.int64,
        "mask_BT": torch.bool,
        "response_mask_BT": torch.bool,
        "old_logprobs_BT": torch.float32,
        "weight_BT": torch.float32,
        "version_B": torch.int64,
    }
    for batch in (collate([build_rollout()], 0, "left"), collate_demonstrations([((1,), (2,))], 0, "right")):
        assert {f.name: getattr(batch, f.name).dtype for f in dataclasses.fields(batch)} == expected


def test_batch_without_rows_is_our_own_mistake():
    with pytest.raises(AssertionError, match="at least one row"):
        collate([], 0, "right")
