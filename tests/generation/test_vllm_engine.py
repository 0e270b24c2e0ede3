"""vLLM itself against the native engine and the trainer, where vllm is installed (`make vllm-check`)."""

from __future__ import annotations

from pathlib import Path

import pytest
from vllm_policies import by_name, change, gap_to_trainer, random_llama, random_requests, started_sampler

from rltf.generation.engine.engine import Engine
from rltf.types import FinishReason, Request, Sampling

pytestmark = pytest.mark.slow

SAMPLING = Sampling(temperature=0.7, top_p=0.9, top_k=40, max_new_tokens=24)


@pytest.fixture(scope="module", params=["tied", "untied"])
def served(request):
    """A policy and its vLLM."""
    policy = random_llama(request.param == "tied")
    return policy, started_sampler(policy)


def check_against_native(policy, sampler, seed=7):
    """The samples, whose greedy programs and log-probs are those of the native engine and of the trainer."""
    requests = random_requests(greedy=True)
    samples = by_name(sampler.sample(policy, requests, SAMPLING, seed))
    assert len(samples) == 15
    native = by_name(Engine().sample(policy, requests, SAMPLING, seed))
    for index in range(3):
        assert samples[index, -1].token_ids == native[index, -1].token_ids
        assert samples[index, -1].logprobs == pytest.approx(native[index, -1].logprobs, abs=1e-4)
    assert gap_to_trainer(policy, requests, samples, SAMPLING) < 1e-4
    return samples


def test_it_draws_from_the_present_weights_also_of_head_and_embedding_alone(served):
    policy, sampler = served
    before = check_against_native(policy, sampler)
    assert len({sample.token_ids for sample in before.values()}) == 15  # n > 1: every draw has its own seed
    for seed, names in enumerate(("embed_tokens", "lm_head", "q_proj", "norm", "")):
        change(policy, seed, names)
        after = check_against_native(policy, sampler)
        if any(names in name for name, _ in policy.named_parameters()):  # a tied head is in none
            assert all(after[key].logprobs != before[key].logprobs for key in after)
        before = after


def test_stop_strings_prefixes_and_an_abandoned_draw(served):
    policy, sampler = served
    requests = random_requests(greedy=True)
    whole = by_name(sampler.sample(policy, requests, SAMPLING, 7))
    text = policy.decode(whole[1, 2].token_ids)[0]
    stopping = Request("p1", requests[1].prompt_ids, (2,), stop=(text[4:7],))
    [stopped] = sampler.sample(policy, [stopping], SAMPLING, 7)
    assert stopped.finish is FinishReason.STOP
    assert stopped.token_ids == whole[1, 2].token_ids[: len(stopped.token_ids)]
    greedy = whole[2, -1].token_ids
    prefixed = Request("p2", requests[2].prompt_ids, (), greedy=True, prefix_ids=greedy[:10])
    [rest] = sampler.sample(policy, [prefixed], SAMPLING, 7)
    assert rest.token_ids[:14] == greedy[10:]
    abandoned = sampler.sample(policy, requests, SAMPLING, 7)
    next(abandoned)
    abandoned.close()
    again = by_name(sampler.sample(policy, requests, SAMPLING, 7))
    assert {key: sample.token_ids for key, sample in again.items()} == {
        key: sample.token_ids for key, sample in whole.items()
    }


def test_twenty_refreshes_take_no_memory(served):
    policy, sampler = served
    requests, short = random_requests(), Sampling(max_new_tokens=2)

    def refresh(times):
        for _ in range(times):
            list(sampler.sample(policy, requests, short, 7))
        return resident_bytes()

    before = refresh(4)
    weights = 4 * sum(parameter.numel() for parameter in policy.parameters())
    assert refresh(20) - before < 2 * weights  # 20 copies, if each left one


def resident_bytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
