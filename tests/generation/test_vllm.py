"""What vLLM is asked and how its answers are read; and, where vllm is installed, vLLM itself against the trainer."""

import sys
from types import SimpleNamespace

import pytest
import torch

from rltf.generation.engine.engine import Engine
from rltf.generation.rows import rows_of
from rltf.generation.vllm import (
    VLLMSampler,
    check_supported,
    exported_weights,
    import_vllm,
    sample_of,
    sampling_keywords,
)
from rltf.policies.tiny import tiny_causal
from rltf.types import FinishReason, Request, Sampling

EOS = 1


def completion(token_ids, finish_reason, stop_reason=None):
    """The fields of a `vllm.CompletionOutput` that are read. Each position has the drawn token alone."""
    logprobs = [{token: SimpleNamespace(logprob=-0.5 * i)} for i, token in enumerate(token_ids)]
    return SimpleNamespace(token_ids=token_ids, logprobs=logprobs, finish_reason=finish_reason, stop_reason=stop_reason)


def rows(**fields):
    return rows_of([Request("p", (5, 6), (0, 1), **fields)], seed=3)


def test_a_drawn_program_has_its_own_seed_and_ends_at_our_tokens_alone():
    first, second = (sampling_keywords(row, Sampling(0.7, 0.9, 40, 0.0, 64), (EOS, 7)) for row in rows())
    assert first["seed"] != second["seed"]
    assert 0 <= first["seed"] < 2**63
    assert (first["temperature"], first["top_p"], first["top_k"], first["max_tokens"]) == (0.7, 0.9, 40, 64)
    assert (first["ignore_eos"], first["stop_token_ids"], first["stop"], first["detokenize"]) == (
        True,
        [1, 7],
        None,
        False,
    )
    assert (
        sampling_keywords(rows_of([Request("p", (9,), (1,))], seed=3)[0], Sampling(), (EOS,))["seed"] == second["seed"]
    )


def test_the_greedy_program_is_drawn_without_temperature_or_truncation():
    greedy = sampling_keywords(rows(greedy=True, stop=("\n#",))[0], Sampling(0.7, 0.9), (EOS,))
    assert greedy["temperature"] == 0.0
    assert "top_p" not in greedy
    assert (greedy["stop"], greedy["detokenize"]) == (["\n#"], True)


@pytest.mark.parametrize(
    ("answer", "stop", "length", "reason"),
    [
        (completion([4, 7, EOS], "stop", EOS), (), 3, FinishReason.EOS),
        (completion([4, 7, 8], "length"), (), 3, FinishReason.LENGTH),
        # tokens 4, 7, 8 read "ae", "ah", "ai" (see BarePolicy): "ea" is complete with the second one
        (completion([4, 7, 8], "stop", "ea"), ("ea",), 2, FinishReason.STOP),
        (completion([4, 7, EOS], "stop", EOS), ("ah",), 2, FinishReason.STOP),
    ],
)
def test_answers_become_samples(make_policy, answer, stop, length, reason):
    policy = make_policy(SimpleNamespace(config=SimpleNamespace(is_encoder_decoder=False)))
    row = rows(stop=stop)[1]
    sample = sample_of(policy, row, answer)
    assert (sample.request, sample.draw, sample.finish) == (0, 1, reason)
    assert sample.token_ids == tuple(answer.token_ids[:length])
    assert sample.logprobs == (0.0, -0.5, -1.0)[:length]


def test_weights_have_the_names_of_an_exported_folder_and_no_adapters():
    policy = tiny_causal(layers=1)
    names = {name for name, _ in exported_weights(policy)}
    assert "model.embed_tokens.weight" in names
    assert "model.layers.0.self_attn.q_proj.weight" in names
    assert "lm_head.weight" not in names  # tied


def test_what_vllm_cannot_do_is_one_sentence(t5_policy, make_policy, monkeypatch):
    with pytest.raises(ValueError, match=r"generation=vllm serves causal models and T5ForConditionalGeneration is an"):
        check_supported(t5_policy, Sampling())
    with pytest.raises(ValueError, match=r"min_p=0.1 and top_p=0.9"):
        check_supported(tiny_causal(layers=1), Sampling(top_p=0.9, min_p=0.1))
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(ValueError, match=r"generation=vllm needs the package vllm: install it with"):
        VLLMSampler()


@pytest.mark.slow
def test_log_probs_are_the_trainers_and_new_weights_are_seen():
    try:
        import_vllm()
    except ValueError as why:
        pytest.skip(str(why))
    policy = tiny_causal().eval()
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter *= 4 if parameter.dim() == 2 else 1  # or every token is as likely as any other
    sampling = Sampling(temperature=0.7, top_p=0.9, top_k=40, max_new_tokens=24)
    generator = torch.Generator().manual_seed(0)
    prompts = [tuple(torch.randint(4, 200, (n,), generator=generator).tolist()) for n in (3, 17, 40)]
    requests = [Request(f"p{i}", ids, (0, 1, 2, 3), greedy=True) for i, ids in enumerate(prompts)]
    sampler = VLLMSampler(eager=True)

    def drawn(requests):
        samples = sampler.sample(policy, requests, sampling, 7)
        return {(requests[s.request].problem_id, s.draw): s for s in samples}

    def worst(samples):
        return max(abs(a - b) for s in samples.values() for a, b in zip(s.logprobs, recomputed(s), strict=True))

    def recomputed(sample):
        prompt, response = torch.tensor([prompts[sample.request]]), torch.tensor([sample.token_ids])
        everywhere = torch.ones_like(prompt, dtype=torch.bool), torch.ones_like(response, dtype=torch.bool)
        how = None if sample.draw == -1 else sampling
        return policy.token_logprobs(prompt, everywhere[0], response, everywhere[1], how)[0][0].tolist()

    before = drawn(requests)
    assert len(before) == 15
    assert worst(before) < 1e-4
    greedy = {s.request: s.token_ids for s in Engine().sample(policy, requests, sampling, 7) if s.draw == -1}
    assert all(before[f"p{i}", -1].token_ids == greedy[i] for i in range(3))
    text = policy.decode(before["p1", 2].token_ids)[0]
    stopping = Request("p1", prompts[1], (2,), stop=(text[4:7],))
    (stopped,) = drawn([stopping]).values()
    assert stopped.finish is FinishReason.STOP
    assert stopped.token_ids == before["p1", 2].token_ids[: len(stopped.token_ids)]
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter += 0.3 * parameter.std().nan_to_num() * torch.randn(parameter.shape, generator=generator)
    after = drawn(requests)
    assert worst(after) < 1e-4
    assert all(after[key].token_ids != before[key].token_ids for key in after if key[1] >= 0)
    abandoned = sampler.sample(policy, requests, sampling, 7)
    next(abandoned)
    abandoned.close()
    assert drawn(requests) == after
