import io
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from rollout_strategies import build_rollout, rollouts

from rltf.rollouts.buffer import RolloutBuffer


def numbered(count, start=0):
    return [build_rollout(advantage=float(i)) for i in range(start, start + count)]


def advantages(buffer):
    return [r.advantage for r in buffer]


@given(capacity=st.integers(1, 12), pushes=st.lists(st.integers(0, 30), max_size=6))
def test_buffer_holds_the_last_rollouts_pushed_in_order(capacity, pushes):
    buffer, pushed = RolloutBuffer(capacity), 0
    for size in pushes:
        buffer.extend(numbered(size, pushed))
        pushed += size
    assert advantages(buffer) == [float(i) for i in range(pushed)][-capacity:]
    assert len(buffer) == min(capacity, pushed)


def test_greedy_programs_stay_out_unless_asked_for():
    both = [build_rollout(advantage=1.0), build_rollout(advantage=2.0, greedy=True)]
    without, with_greedy = RolloutBuffer(9), RolloutBuffer(9, keep_greedy=True)
    without.extend(both)
    with_greedy.extend(both)
    assert advantages(without) == [1.0]
    assert advantages(with_greedy) == [1.0, 2.0]


@given(held=st.integers(1, 20), n=st.integers(0, 60), seed=st.integers(0, 9))
def test_a_draw_takes_no_rollout_twice_before_each_was_taken_once(held, n, seed):
    buffer = RolloutBuffer(20)
    buffer.extend(numbered(held))
    drawn = [r.advantage for r in buffer.sample(n, seed)]
    counts = [drawn.count(float(i)) for i in range(held)]
    assert len(drawn) == n
    assert max(counts) - min(counts) <= 1


def test_every_rollout_is_equally_likely():
    buffer = RolloutBuffer(5)
    buffer.extend(numbered(5))
    generator = torch.Generator().manual_seed(0)
    drawn = [buffer.sample(1, generator)[0].advantage for _ in range(2000)]
    # 400 expected each with a standard deviation of 18; 5 deviations
    assert all(310 < drawn.count(float(i)) < 490 for i in range(5))


def test_an_empty_buffer_cannot_be_sampled():
    with pytest.raises(ValueError, match="rollout buffer is empty"):
        RolloutBuffer(3).sample(1, 0)


@given(st.lists(rollouts(), max_size=6))
def test_checkpoint_gives_back_equal_rollouts_through_a_weights_only_load(originals):
    buffer = RolloutBuffer(100, keep_greedy=True)
    buffer.extend(originals)
    file = io.BytesIO()
    torch.save(buffer.state_dict(), file)
    file.seek(0)
    restored = RolloutBuffer(100)
    restored.load_state_dict(torch.load(file, weights_only=True))
    assert list(restored) == originals


def test_checkpoints_mark_excluded_tokens_by_a_weight_of_nan():
    rollout = replace(build_rollout(length=3), weights=(0.5, 0.0, -1.0), excluded_tokens=(1,))
    buffer = RolloutBuffer(1)
    buffer.extend([rollout])
    state = buffer.state_dict()
    assert str(state["weights"].tolist()) == "[0.5, nan, -1.0]"
    buffer.load_state_dict(state)
    assert list(buffer) == [rollout]


def test_resumed_buffer_draws_the_same_next_batch_and_drops_the_same_oldest():
    buffer = RolloutBuffer(4)
    buffer.extend(numbered(6))
    resumed = RolloutBuffer(4)
    resumed.load_state_dict(buffer.state_dict())
    for b in (buffer, resumed):
        b.extend(numbered(1, 6))
    assert advantages(resumed) == [3.0, 4.0, 5.0, 6.0]
    assert resumed.sample(3, 7) == buffer.sample(3, 7)


def test_programs_of_one_prompt_share_it_after_a_resume():
    buffer = RolloutBuffer(4)
    buffer.extend(numbered(3))
    buffer.load_state_dict(buffer.state_dict())
    assert len({id(r.program.prompt_ids) for r in buffer}) == 1
    assert buffer.state_dict()["prompt_ids"].tolist() == [7, 8]


def test_smaller_capacity_after_a_resume_keeps_the_newest():
    buffer = RolloutBuffer(6)
    buffer.extend(numbered(6))
    smaller = RolloutBuffer(2)
    smaller.load_state_dict(buffer.state_dict())
    assert advantages(smaller) == [4.0, 5.0]


def test_age_is_counted_in_optimiser_steps_since_the_program_was_drawn():
    buffer = RolloutBuffer(4)
    buffer.extend([build_rollout(version=10), build_rollout(version=16)])
    assert buffer.metrics(version=20) == {
        "buffer/size": 2.0,
        "buffer/fill": 0.5,
        "buffer/age_mean": 7.0,
        "buffer/age_max": 10.0,
    }
    assert RolloutBuffer(4).metrics(version=20)["buffer/age_max"] == 0.0


def test_capacity_below_one_is_refused():
    with pytest.raises(ValueError, match=r"^capacity is 0: expected a whole number of at least 1"):
        RolloutBuffer(0)
