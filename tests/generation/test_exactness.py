"""The engine against transformers' `generate`, its full forward, and itself under other conditions."""

from contextlib import nullcontext
from dataclasses import replace

import pytest
import rounding
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from models import greedy_by_generate
from rounding import (
    LEAST_COMPARED,
    assert_same,
    cuts_at_a_border,
    distance,
    exact_logits,
    shifted_log_probs,
    teacher_forced,
)

from rltf.generation.engine.engine import Engine
from rltf.generation.hf import HFSampler
from rltf.generation.token_sampling import row_key, uniforms
from rltf.policies import kernels
from rltf.policies.distribution import log_probs
from rltf.types import FinishReason, Sampling


@pytest.fixture(params=["compiled", "torch", "graphs"])
def compiled(request):
    """Whether compiled kernels decode; otherwise torch's do, one by one or as a step is replayed on CUDA."""
    if request.param == "graphs":
        request.getfixturevalue("tape_runners")
    if request.param == "compiled":
        if kernels.load() is None:
            pytest.skip("no C compiler")
        assert kernels.kernels_for(torch.nn.Linear(1, 1)) is not None, "torch has too many threads for the kernels"
    return request.param == "compiled"


LENGTHS = [1, 5, 9, 12, 30, 2, 17]


def by_key(sampler, policy, requests, sampling, seed=0):
    return {(s.request, s.draw): s for s in sampler.sample(policy, requests, sampling, seed)}


@pytest.mark.parametrize(
    "sampler",
    [Engine(max_rows=4), Engine(max_rows=64), Engine(max_rows=4, compiled=False), HFSampler(max_rows=4)],
    ids=["4", "64", "torch", "hf"],
)
def test_greedy_tokens_equal_generate(policy, make_requests, sampler):
    requests = make_requests(LENGTHS, 1, greedy=True)
    samples = by_key(sampler, policy, requests, Sampling(max_new_tokens=24))
    for i, request in enumerate(requests):
        generated = greedy_by_generate(policy.model, request.prompt_ids, max_new_tokens=24, eos_token_id=1)
        assert list(samples[i, -1].token_ids) == generated


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(max_new_tokens=40),
        Sampling(max_new_tokens=40, temperature=0.6, top_p=0.95),
        Sampling(max_new_tokens=40, temperature=1.4, top_k=9, min_p=0.02),
    ],
    ids=["plain", "top_p", "top_k"],
)
def test_log_probs_equal_those_of_a_teacher_forced_forward(policy, make_requests, sampling, compiled):
    requests = make_requests(LENGTHS, 3, greedy=True, prefix_ids=(7, 3, 11))
    tokens = shifts = 0
    for sample in Engine(max_rows=6, compiled=compiled).sample(policy, requests, sampling, seed=5):
        request = requests[sample.request]
        logits = teacher_forced(policy, request, sample.token_ids)
        law = logits.log_softmax(-1) if sample.draw == -1 else log_probs(logits, sampling)
        expected = law.gather(1, torch.tensor(sample.token_ids)[:, None])[:, 0]
        tokens += len(sample.token_ids)
        shifts += shifted_log_probs(policy, request, sample, expected, sampling, atol=1e-5)
    assert shifts <= (1 - LEAST_COMPARED) * tokens


@pytest.mark.parametrize("prefix", [(), (7, 3, 11)])
def test_programs_do_not_depend_on_row_limits_memory_or_batch_mates(policy, make_requests, prefix, compiled):
    requests = make_requests(LENGTHS, 4, greedy=True, prefix_ids=prefix, stop=("bcbd",))
    sampling = Sampling(max_new_tokens=33)
    reference = by_key(HFSampler(), policy, requests, sampling)
    for limits in ({"max_rows": 5}, {"max_rows": 64, "prefill_tokens": 1}, {"max_cache_tokens": 400}):
        engine = Engine(**limits, compiled=compiled)
        samples = by_key(engine, policy, requests, sampling)
        assert_same(policy, requests, samples, reference, sampling, atol=1e-5)
    alone = by_key(Engine(max_rows=1, compiled=compiled), policy, [requests[3]], sampling)
    fourth = {(0, draw): sample for (index, draw), sample in reference.items() if index == 3}
    assert_same(policy, [requests[3]], alone, fourth, sampling)


@pytest.mark.parametrize(("prefix_length", "new"), [(60, 3), (63, 1), (17, 40)])
def test_long_prefixes_beside_rows_that_are_far_ahead(t5_policy, make_requests, prefix_length, new, compiled):
    prefix = tuple(2 + i % 40 for i in range(prefix_length))
    requests = make_requests([4] * 6, 3, prefix_ids=prefix)
    sampling = Sampling(max_new_tokens=new)
    samplers = (Engine(max_rows=4, compiled=compiled), HFSampler())
    ours, plain = (by_key(sampler, t5_policy, requests, sampling) for sampler in samplers)
    assert_same(t5_policy, requests, ours, plain, sampling)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lengths=st.lists(st.integers(1, 20), min_size=1, max_size=6),
    draws=st.integers(0, 5),
    max_rows=st.integers(1, 12),
    new=st.integers(1, 40),
    seed=st.integers(0, 9),
    greedy=st.booleans(),
)
def test_any_mix_of_rows_gives_what_the_plain_sampler_gives(
    t5_policy, make_requests, compiled, lengths, draws, max_rows, new, seed, greedy
):
    requests = make_requests(lengths, draws, seed=seed, greedy=greedy)
    sampling = Sampling(max_new_tokens=new)
    engine = Engine(max_rows=max_rows, compiled=compiled)
    samples = by_key(engine, t5_policy, requests, sampling, seed)
    reference = by_key(HFSampler(), t5_policy, requests, sampling, seed)
    assert_same(t5_policy, requests, samples, reference, sampling, seed)


def test_first_tokens_follow_the_models_distribution(t5_policy, make_requests, compiled):
    (request,) = make_requests([6], 4000)
    samples = list(Engine(compiled=compiled).sample(t5_policy, [request], Sampling(max_new_tokens=1), seed=2))
    expected = teacher_forced(t5_policy, request, (3,))[0].softmax(-1) * 4000
    counts = torch.bincount(torch.tensor([s.token_ids[0] for s in samples]), minlength=48)
    common = expected >= 5
    statistic = ((counts - expected) ** 2 / expected)[common].sum()
    # 99.9 % point of chi-square, Wilson-Hilferty.
    freedom = int(common.sum()) - 1
    assert statistic < freedom * (1 - 2 / (9 * freedom) + 3.09 * (2 / (9 * freedom)) ** 0.5) ** 3


def test_a_response_may_end_with_its_first_token(t5_policy, make_requests):
    (request,) = make_requests([6], 3000)
    samples = list(Engine().sample(t5_policy, [request], Sampling(max_new_tokens=9), seed=0))
    at_once = [s for s in samples if s.token_ids == (1,)]
    assert at_once
    assert all(s.finish == FinishReason.EOS for s in at_once)
    assert all(s.finish == FinishReason.LENGTH for s in samples if s.token_ids[-1] != 1)
    assert {len(s.token_ids) for s in samples if s.finish == FinishReason.LENGTH} == {9}


def test_a_decoder_deeper_than_its_encoder_is_decoded(deep_decoder_policy, make_requests):
    requests = make_requests([4, 7], 3)
    sampling = Sampling(max_new_tokens=12)
    ours, plain = (by_key(sampler, deep_decoder_policy, requests, sampling) for sampler in (Engine(), HFSampler()))
    assert_same(deep_decoder_policy, requests, ours, plain, sampling)


@pytest.mark.parametrize("graphs", [False, True], ids=["kernels", "graphs"])
def test_bfloat16_log_probs_stray_no_further_than_those_of_transformers_own_forward(
    policy, make_requests, graphs, request
):
    """From float32 arithmetic on the same weights; both round to 8 bits after each kernel, in another order."""
    if graphs:
        request.getfixturevalue("tape_runners")
    policy.model.to(torch.bfloat16)
    requests = make_requests(LENGTHS, 3, prefix_ids=(7, 3))
    samples = list(Engine(max_rows=6, compiled=False).sample(policy, requests, Sampling(max_new_tokens=24), seed=5))
    laws = []
    for dtype in (torch.bfloat16, torch.float32):
        policy.model.to(dtype)
        for sample in samples:
            logits = teacher_forced(policy, requests[sample.request], sample.token_ids).float()
            laws.append(logits.log_softmax(-1).gather(1, torch.tensor(sample.token_ids)[:, None])[:, 0])
    theirs, exact = torch.cat(laws[: len(samples)]), torch.cat(laws[len(samples) :])
    ours = torch.tensor([logprob for sample in samples for logprob in sample.logprobs])
    assert len(ours) > 200
    assert (ours - exact).abs().mean() < 1.25 * (theirs - exact).abs().mean() + 1e-3
    assert (ours - theirs).abs().mean() < 0.02
    assert (ours - theirs).abs().max() < 0.25


@pytest.mark.parametrize(
    ("number", "distances"),
    [(0.5 - 1e-6, (0.0, 1e-6, 0.25 + 1e-6)), (0.5 + 1e-6, (1e-6, 0.0, 0.25 - 1e-6)), (0.8, (0.3, 0.05, 0.0))],
)
def test_the_distance_of_a_number_is_the_mass_between_it_and_a_token(number, distances):
    logits = torch.tensor([0.5, 0.25, 0.25, 0.0], dtype=torch.float64).log()
    actual = [distance(logits, token, number, Sampling()) for token in range(4)]
    assert actual == pytest.approx([*distances, float("inf")], abs=1e-12)


def test_cuts_at_a_border_are_those_that_rounding_moves():
    logits = torch.tensor([[0.4, 0.3, 0.2, 0.1], [0.5, 0.2, 0.2, 0.1]], dtype=torch.float64).log()
    for sampling, expected in (
        (Sampling(), [False, False]),
        (Sampling(top_p=0.4 + 1e-6), [True, False]),
        (Sampling(top_p=0.4 - 1e-5), [False, False]),
        (Sampling(top_k=2), [False, True]),
        (Sampling(top_k=2, top_p=0.4 / 0.7), [True, True]),
        (Sampling(min_p=0.4), [False, True]),
        (Sampling(temperature=0.5, top_p=0.25 / 0.34), [False, True]),
    ):
        assert cuts_at_a_border(logits, sampling).tolist() == expected


@pytest.mark.parametrize("fields", [{}, {"temperature": 0.6, "top_p": 0.95}], ids=["plain", "top_p"])
def test_what_excuses_rounding_excuses_no_mistake(t5_policy, make_requests, fields):
    """Weights are off by a hundredth."""
    requests, sampling = make_requests(LENGTHS, 6), Sampling(max_new_tokens=30, **fields)
    theirs = by_key(HFSampler(), t5_policy, requests, sampling)
    with torch.no_grad():
        for parameter in t5_policy.model.parameters():
            parameter *= 1 + 1e-2 * torch.randn_like(parameter)
    ours = by_key(HFSampler(), t5_policy, requests, sampling)
    with pytest.raises(AssertionError, match="no border sets token"):
        assert_same(t5_policy, requests, ours, theirs, sampling)


def test_a_token_at_a_border_may_be_either_and_no_third(t5_policy, make_requests, monkeypatch):
    (request,) = make_requests([6], 1)
    sampling, key = Sampling(max_new_tokens=4), (0, 0)
    (sample,) = Engine(max_rows=1).sample(t5_policy, [request], sampling, seed=0)
    mass = exact_logits(t5_policy, request, sample.token_ids)[2].softmax(-1)
    token = sample.token_ids[2]
    numbers = uniforms([row_key(0, request.problem_id, 0)], 4)
    numbers[0, 2] = mass[: token + 1].sum()  # the border with the next token, as float32 has it
    monkeypatch.setattr(rounding, "uniforms", lambda keys, length: numbers[:, :length])
    for step, agrees in ((1, True), (2, False)):
        other = replace(sample, token_ids=(*sample.token_ids[:2], token + step, sample.token_ids[3]))
        with nullcontext() if agrees else pytest.raises(AssertionError, match="sets token 2 apart"):
            assert_same(t5_policy, [request], {key: sample}, {key: other}, sampling)
