"""What callers rely on besides the tokens: state left alone, memory, order, stops, mistakes."""

import copy
from dataclasses import replace

import pytest
import torch
from models import llama_model
from rounding import assert_same

from rltf.generation.engine.decode_loop import DecodeLoop
from rltf.generation.engine.engine import Engine
from rltf.generation.engine.memory_plan import MemoryPlan
from rltf.generation.hf import HFSampler
from rltf.setup.instantiate import build
from rltf.types import FinishReason, Request, Sampling

SAMPLERS = [Engine(max_rows=8), HFSampler(max_rows=8)]


def by_key(samples):
    return {(sample.request, sample.draw): sample for sample in samples}


@pytest.mark.parametrize("sampler", SAMPLERS, ids=["native", "hf"])
def test_training_mode_gradients_and_random_state_are_as_before(policy, make_requests, sampler):
    model = policy.model.train()
    next(model.children()).eval()
    modes = [module.training for module in model.modules()]
    state = torch.get_rng_state()
    list(sampler.sample(policy, make_requests([3, 5], 2), Sampling(max_new_tokens=6), 0))
    assert [module.training for module in model.modules()] == modes
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.is_grad_enabled()
    ids = torch.tensor([[3, 4, 5]])
    model(input_ids=ids, labels=ids).loss.backward()
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad and p.dim() == 2)


def test_dropout_is_off_while_drawing(t5_policy, make_requests):
    requests = make_requests([6, 9], 3)
    sampling = Sampling(max_new_tokens=10)
    t5_policy.model.train()
    training = sorted((s.request, s.draw, s.token_ids) for s in Engine().sample(t5_policy, requests, sampling, 0))
    t5_policy.model.eval()
    assert training == sorted(
        (s.request, s.draw, s.token_ids) for s in Engine().sample(t5_policy, requests, sampling, 0)
    )


@pytest.mark.parametrize("weight", ["q", "k", "relative_attention_bias", "layer_norm", "wo", "shared"])
def test_an_optimiser_step_is_seen_by_the_next_call(t5_policy, make_requests, weight):
    requests = make_requests([6, 9], 4)
    sampling = Sampling(max_new_tokens=12)
    engine = Engine()
    before = by_key(engine.sample(t5_policy, requests, sampling, 0))
    with torch.no_grad():
        for name, parameter in t5_policy.model.named_parameters():
            if f".{weight}." in f".{name}" and not name.startswith("encoder"):
                parameter.mul_(1.5)
    after = by_key(engine.sample(t5_policy, requests, sampling, 0))
    fresh = by_key(HFSampler().sample(t5_policy, requests, sampling, 0))
    assert {key: s.logprobs for key, s in before.items()} != {key: s.logprobs for key, s in after.items()}
    assert_same(t5_policy, requests, after, fresh, sampling, atol=1e-5)


def test_weights_are_not_copied_into_the_engine(t5_policy, make_requests):
    before = copy.deepcopy(t5_policy.model.state_dict())
    list(Engine().sample(t5_policy, make_requests([6], 4), Sampling(max_new_tokens=12), 0))
    assert all(torch.equal(before[name], tensor) for name, tensor in t5_policy.model.state_dict().items())


def test_gradient_may_be_taken_between_two_samples(t5_policy, make_requests):
    for sample in Engine(max_rows=2).sample(t5_policy, make_requests([6, 4], 3), Sampling(max_new_tokens=5), 0):
        assert torch.is_grad_enabled()
        assert not torch.is_inference_mode_enabled()
        ids = torch.tensor([sample.token_ids])
        t5_policy.model(input_ids=ids, labels=ids).loss.backward()


def test_rows_that_end_cost_little(t5_policy, make_requests):
    engine = Engine(max_rows=64)
    list(engine.sample(t5_policy, make_requests([5] * 40, 8), Sampling(max_new_tokens=60), 0))
    assert engine.report is not None
    assert engine.report.row_steps <= 1.08 * engine.report.tokens


def test_a_stop_string_cuts_after_the_token_that_completes_it(policy, make_requests):
    (request,) = make_requests([6], 60)
    sampling = Sampling(max_new_tokens=20)
    free = list(Engine().sample(policy, [request], sampling, 0))
    longest = max((policy.decode(s.token_ids)[0] for s in free), key=len)
    # Three letters from the second half of a token on, so that the string ends inside the one after.
    stopped = Request("problem/0", request.prompt_ids, request.draws, stop=("no such string", longest[7:10]))
    samples = by_key(Engine().sample(policy, [stopped], sampling, 0))
    assert {s.finish for s in samples.values()} >= {FinishReason.STOP}
    expected = by_key(free)
    for key, sample in expected.items():
        text, offsets = policy.decode(sample.token_ids)
        ends = [text.find(stop) + len(stop) for stop in stopped.stop if stop in text]
        if ends:
            cut = next(i for i, span in enumerate(offsets, 1) if span[1] >= min(ends))
            expected[key] = replace(sample, token_ids=sample.token_ids[:cut], finish=FinishReason.STOP)
    assert_same(policy, [stopped], samples, expected, sampling)


def test_a_prefix_is_context_and_never_part_of_the_sample(policy, make_requests):
    (with_prefix,) = make_requests([6], 3, prefix_ids=(9, 1, 9))
    (plain,) = make_requests([6], 3)
    samples = {s.draw: s for s in Engine().sample(policy, [with_prefix], Sampling(max_new_tokens=8), 0)}
    others = {s.draw: s for s in Engine().sample(policy, [plain], Sampling(max_new_tokens=8), 0)}
    assert all(len(s.token_ids) == len(s.logprobs) <= 8 for s in samples.values())
    assert all(samples[d].logprobs[0] != others[d].logprobs[0] for d in samples)


def test_samples_come_as_they_end(t5_policy, make_requests):
    lengths = [
        len(s.token_ids) for s in Engine().sample(t5_policy, make_requests([5], 200), Sampling(max_new_tokens=40), 0)
    ]
    assert lengths == sorted(lengths)


@pytest.mark.parametrize("sampler", SAMPLERS, ids=["native", "hf"])
def test_nothing_asked_gives_nothing(t5_policy, make_requests, sampler):
    assert list(sampler.sample(t5_policy, [], Sampling(), 0)) == []
    assert list(sampler.sample(t5_policy, make_requests([4], 0), Sampling(), 0)) == []


@pytest.mark.parametrize("sampler", SAMPLERS, ids=["native", "hf"])
def test_a_request_without_draws_beside_one_with_some(t5_policy, make_requests, sampler):
    request, empty = make_requests([4], 2)[0], Request("empty", (3, 4), ())
    samples = list(sampler.sample(t5_policy, [empty, request], Sampling(max_new_tokens=4), 0))
    assert sorted((s.request, s.draw) for s in samples) == [(1, 0), (1, 1)]


def test_the_plan_stays_within_its_tokens(make_requests):
    requests = make_requests([30] * 50, 8)
    for limit in (200, 1000, 5000, 100000):
        plan = MemoryPlan.of(requests, response_length=64, prompt_length=30, max_rows=128, max_cache_tokens=limit)
        assert plan.tokens <= limit
        assert 1 <= plan.rows <= 128


def test_memory_for_less_than_one_row_is_refused_by_its_key(t5_policy, make_requests):
    with pytest.raises(ValueError, match="max_cache_tokens is 20"):
        list(Engine(max_cache_tokens=20).sample(t5_policy, make_requests([9], 1), Sampling(max_new_tokens=16), 0))


@pytest.mark.parametrize("key", ["max_rows", "max_cache_tokens", "prefill_tokens"])
def test_sizes_below_one_are_refused_by_their_key(key):
    with pytest.raises(ValueError, match=f"^{key} is 0: expected a whole number of at least 1"):
        Engine(**{key: 0})


def test_a_config_without_rows_is_refused_by_its_path(composed):
    cfg = composed("train", "generation.sampler.max_rows=0")
    with pytest.raises(ValueError, match=r"^generation\.sampler\.max_rows is 0: expected a whole number of at least 1"):
        build(cfg, "generation.sampler")


def test_a_family_without_a_decoder_is_sent_to_the_plain_sampler(gpt2_policy, make_requests):
    requests, sampling = make_requests([3], 2), Sampling(max_new_tokens=3)
    with pytest.raises(ValueError, match=r"no decoder for GPT2LMHeadModel.*generation=hf"):
        list(Engine().sample(gpt2_policy, requests, sampling, 0))
    assert len(list(HFSampler().sample(gpt2_policy, requests, sampling, 0))) == 2


def test_an_empty_prompt_is_refused(t5_policy):
    with pytest.raises(ValueError, match="problem x has no tokens"):
        list(Engine().sample(t5_policy, [Request("x", (), (0,))], Sampling(), 0))


@pytest.mark.parametrize("keys", [{}, {"use_dora": True}, {"use_rslora": True}], ids=str)
def test_adapters_are_drawn_with(make_policy, make_requests, keys):
    peft = pytest.importorskip("peft", reason="the lora extra is not installed")
    torch.manual_seed(0)
    policy = make_policy(llama_model(48, kv_heads=4))
    config = peft.LoraConfig(r=2, target_modules=["q_proj", "v_proj", "down_proj"], **keys)
    peft.inject_adapter_in_model(config, policy.model)
    with torch.no_grad():
        for parameter in policy.model.parameters():
            parameter.copy_(0.3 * torch.randn_like(parameter))
    requests, sampling = make_requests([4, 9], 4), Sampling(max_new_tokens=12)
    ours, plain = (by_key(sampler.sample(policy, requests, sampling, 0)) for sampler in SAMPLERS)
    assert_same(policy, requests, ours, plain, sampling, atol=1e-5)


@pytest.mark.parametrize("fits", [1, 3])
def test_what_does_not_fit_is_drawn_with_fewer_rows_at_once(policy, make_requests, monkeypatch, caplog, fits):
    """A device that runs out of memory above so many rows, now and then in the middle."""
    requests, sampling = make_requests([5, 12, 3], 4, greedy=True), Sampling(max_new_tokens=9)
    expected = by_key(Engine(max_rows=8).sample(policy, requests, sampling, 0))
    step = DecodeLoop._step
    row_counts = []

    def scarce(self):
        row_counts.append(len(self._rows))
        if len(self._rows) > fits and len(row_counts) % 5 == 0:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return step(self)

    monkeypatch.setattr(DecodeLoop, "_step", scarce)
    engine = Engine(max_rows=8)
    samples = list(engine.sample(policy, requests, sampling, 0))
    assert len(samples) == len(expected) == 15
    assert_same(policy, requests, by_key(samples), expected, sampling)
    assert "generation ran out of memory with 8 rows at once: it goes on with 4" in caplog.text
    assert engine.report.plan.rows <= 4


def test_memory_that_does_not_hold_one_row_is_an_error(t5_policy, make_requests, monkeypatch):
    def scarce(self):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(DecodeLoop, "_step", scarce)
    with pytest.raises(torch.OutOfMemoryError):
        list(Engine(max_rows=4).sample(t5_policy, make_requests([5], 4), Sampling(max_new_tokens=4), 0))
