"""What makes a decode step fit for a CUDA graph, shown without a GPU: see `Tape` in conftest.py."""

from collections import OrderedDict

import pytest
import torch
from rounding import assert_same

from rltf.generation.engine import decode_state
from rltf.generation.engine.cuda_graphs import CudaGraphRunner, StepRunner, step_runner
from rltf.generation.engine.decode_state import DecodeState
from rltf.generation.engine.engine import Engine
from rltf.generation.engine.memory_plan import MemoryPlan
from rltf.generation.hf import HFSampler
from rltf.policies.decoding import StepShape, decoder_for
from rltf.policies.decoding.cache_torch_prompts import Grid
from rltf.types import Sampling

SAMPLINGS = [Sampling(max_new_tokens=60), Sampling(max_new_tokens=60, temperature=0.7, top_k=20, top_p=0.9, min_p=0.01)]


def draw_all(sampler, policy, requests, sampling, seed=0):
    return {(s.request, s.draw): s for s in sampler.sample(policy, requests, sampling, seed)}


def assert_plain(ours, policy, requests, sampling, seed=0):
    """Raises unless these are the samples that the plain sampler draws."""
    plain = draw_all(HFSampler(), policy, requests, sampling, seed)
    assert_same(policy, requests, ours, plain, sampling, seed, atol=2e-5)


def addresses(state):
    """Addresses of all tensors that one step leaves for the next; the mask is made in each step."""
    return [tensor.data_ptr() for tensor in state.tensors if all(tensor is not mask for mask in state.cache._masks)]


@pytest.mark.parametrize("sampling", SAMPLINGS, ids=["plain", "truncated"])
def test_replayed_steps_draw_what_the_plain_sampler_draws(policy, make_requests, sampling, tape_runners):
    requests = make_requests([1, 9, 30, 2, 17], 6, greedy=True, prefix_ids=(7, 3), stop=("bcbd",))
    engine = Engine(max_rows=11, compiled=False, graphs=True)
    assert_plain(draw_all(engine, policy, requests, sampling), policy, requests, sampling)
    (runner,) = tape_runners
    # Most steps are replays, or nothing was shown.
    assert engine.report.steps > 2 * len(runner._graphs)


@pytest.mark.parametrize("sampling", SAMPLINGS, ids=["plain", "truncated"])
def test_two_steps_of_a_shape_are_the_same_kernels_on_the_same_memory(policy, make_requests, sampling, tape_runners):
    """Also when rows have come, gone and moved between them, and in the next call."""
    engine = Engine(max_rows=11, compiled=False, graphs=True)
    requests = make_requests([1, 9, 30, 2, 17], 6, greedy=True, prefix_ids=(7, 3))
    draw_all(engine, policy, requests, sampling)
    (runner,) = tape_runners
    first = {key: tape.kernels for key, tape in runner.tapes.items()}
    assert len(first) > 10
    where = addresses(engine._idle_state)
    runner._graphs = OrderedDict.fromkeys(first)  # captured anew at their next step
    runner.tapes.clear()
    for seed in (1, 0):
        draw_all(engine, policy, requests, sampling, seed)
    again = {key: tape.kernels for key, tape in runner.tapes.items()}
    assert all(again[key] == kernels for key, kernels in first.items())
    assert where == addresses(engine._idle_state)
    assert len(tape_runners) == 1


def test_graphs_of_one_call_serve_the_next_with_the_weights_of_its_moment(policy, make_requests, tape_runners):
    engine = Engine(max_rows=8, compiled=False, graphs=True)
    requests, sampling = make_requests([9, 12, 4], 9), Sampling(max_new_tokens=20)
    draw_all(engine, policy, requests, sampling)
    captures = tape_runners[0].captures
    with torch.no_grad():
        for parameter in policy.model.parameters():
            parameter.mul_(1.1)
    assert_plain(draw_all(engine, policy, requests, sampling), policy, requests, sampling)
    assert len(tape_runners) == 1
    assert tape_runners[0].captures < 2 * captures
    with torch.no_grad():  # the same number at another place in memory
        for parameter in policy.model.parameters():
            parameter.data = parameter * 1.1
    assert_plain(draw_all(engine, policy, requests, sampling), policy, requests, sampling)
    assert len(tape_runners) == 2


def test_other_sampling_or_longer_prompts_get_a_decode_state_of_their_own(t5_policy, make_requests, tape_runners):
    engine = Engine(max_rows=4, compiled=False, graphs=True)
    for sampling, lengths in ((SAMPLINGS[0], [5]), (SAMPLINGS[1], [5]), (SAMPLINGS[1], [9]), (SAMPLINGS[1], [7])):
        requests = make_requests(lengths, 3)
        assert_plain(draw_all(engine, t5_policy, requests, sampling), t5_policy, requests, sampling)
    assert len(tape_runners) == 3


def test_memory_is_given_back_where_it_is_much_or_nothing_is_captured(t5_policy, make_requests, tape_runners):
    requests = make_requests([5], 3)
    for graphs, reused in ((True, True), ("auto", False)):  # a CPU has no memory to spare
        engine = Engine(max_rows=4, compiled=False, graphs=graphs)
        draw_all(engine, t5_policy, requests, SAMPLINGS[0])
        assert (engine._idle_state is not None) == reused
    with pytest.raises(ValueError, match=r"^graphs is 'maybe': expected auto, true or false"):
        Engine(graphs="maybe")


def test_two_calls_that_are_read_by_turns_do_not_share_a_decode_state(t5_policy, make_requests, tape_runners):
    engine = Engine(max_rows=4, compiled=False, graphs=True)
    requests, sampling = make_requests([5, 9], 4), Sampling(max_new_tokens=12)
    draw_all(engine, t5_policy, requests, sampling)
    calls = [engine.sample(t5_policy, requests, sampling, seed) for seed in (1, 2)]
    samples_of_calls = [{}, {}]
    for pair in zip(*calls, strict=True):
        for samples, sample in zip(samples_of_calls, pair, strict=True):
            samples[sample.request, sample.draw] = sample
    for seed, samples in enumerate(samples_of_calls, 1):
        assert_plain(samples, t5_policy, requests, sampling, seed)


@pytest.mark.parametrize("sampling", SAMPLINGS, ids=["plain", "truncated"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_a_step_needs_no_value_of_any_tensor_on_its_device(policy, sampling, dtype, monkeypatch):
    """On torch's device without memory: what asks for a value raises, and so does most of what mixes devices."""
    monkeypatch.setattr(
        decode_state, "decode_mode", lambda device: torch.inference_mode()
    )  # there is no autocast to turn off
    decoder = decoder_for(policy.model.to("meta", dtype), 90)
    state = DecodeState(decoder, MemoryPlan(16, 80, 6, 40), sampling, (1,), graphs=True)
    state.row_states.has_prefixes = state.row_states.has_greedy = True
    grid = state.cache.prompts.grid = Grid(5, 4, 32, True)
    with torch.inference_mode():
        state.cache.begin_step(StepShape(12, 64, grid))
        logits = decoder.step(*state.row_states.next_inputs(12), state.cache)
        assert (logits.shape, logits.device.type) == ((12, 48), "meta")
        state.step(StepShape(12, 64, grid))


class Counted:
    def __init__(self):
        self.ran = self.replayed = 0

    def replay(self):
        self.replayed += 1

    def step(self):
        self.ran += 1


def test_a_shape_runs_once_is_captured_at_its_second_step_and_replayed_from_then_on(monkeypatch):
    graphs, counted = CudaGraphRunner(torch.device("cpu"), 512), Counted()
    monkeypatch.setattr(graphs, "_capture", lambda step: counted)
    for _ in range(5):
        graphs.run("a", counted.step)
    graphs.run("b", counted.step)
    assert (counted.ran, counted.replayed, graphs.captures) == (2, 4, 1)


def test_the_host_rarely_waits_for_a_device_that_runs_ahead():
    cpu, cuda = torch.device("cpu"), torch.device("cuda")
    assert [StepRunner(cpu, limit).host_sync_interval for limit in (64, 512)] == [1, 1]
    assert [StepRunner(cuda, limit).host_sync_interval for limit in (16, 64, 192, 512, 4096)] == [1, 1, 3, 8, 8]
    assert isinstance(step_runner(cuda, True, 512), CudaGraphRunner)
    assert not step_runner(cuda, False, 512).uses_graphs
    assert not step_runner(cpu, True, 512).uses_graphs
