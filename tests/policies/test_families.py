"""Every family of transformers is served exactly, by the oracles of transformers' own forward pass and `generate`, or
refused before work."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import torch
from families import CONTEXT, FAMILIES
from family_policies import generated, load_policy, save_policy

from rltf.generation.engine.engine import Engine
from rltf.generation.hf import HFSampler
from rltf.policies.compat import checkpoint_activations, decoder_prompt
from rltf.policies.decoding.families import DECODERS
from rltf.policies.load import pretrained
from rltf.policies.pretrained import TransformersPolicy
from rltf.rollouts.collate import collate_programs
from rltf.rollouts.self_check import check_sampler
from rltf.types import FinishReason, Program, Prompt, Request, Sample, Sampling

REFUSED = {
    "rwkv": r"^generation: HFSampler does not serve a RwkvForCausalLM exactly \(.*self_check=false",
    "mbart": r"holds a MBartForConditionalGeneration: expected a T5 type, LongT5, BART, PLBART, Pegasus or T5Gemma",
}
NATIVE = [
    *("t5", "t5_gated", "mt5", "umt5", "codegen", "llama", "llama_llama3", "llama_yarn", "llama_biases"),
    *("mistral", "mistral_window", "qwen2", "qwen2_window", "qwen3", "gemma2", "gemma3", "phi3", "olmo2", "smollm3"),
    *("starcoder2", "starcoder2_window"),
]
SLOW = ("longt5", "plbart", "pegasus", "granite", "mamba2", "lfm2")
"""Served as another one is; in the slow suite."""
NEW = 12
SAMPLING = Sampling(temperature=0.8, top_k=20, max_new_tokens=NEW)  # no top-p: rounding moves its border
PROMPTS = ["add the first and the last number of xs", "sum", "return the larger of two numbers a and b as a string"]


def cases(families: Iterable[str], slow: tuple[str, ...] = SLOW) -> list[Any]:
    return [pytest.param(f, marks=pytest.mark.slow) if f in slow else f for f in sorted(families)]


def policy_of(family: str, folder: Path) -> TransformersPolicy:
    """A policy of this family, loaded as a user loads it."""
    save_policy(family, folder, context=None, prompt_tokens=48)
    return load_policy(folder, prompt_tokens=48)


def requests_of(policy: TransformersPolicy, draws: int) -> list[Request]:
    prompts = [policy.encode_prompt(Prompt(head="", question=text, tail="\n")) for text in PROMPTS]
    return [Request(f"p/{i}", ids, tuple(range(draws)), greedy=True) for i, ids in enumerate(prompts)]


@pytest.mark.parametrize("family", cases(set(FAMILIES) - set(REFUSED)))
def test_a_served_family_is_served_exactly(family: str, tmp_path: Path):
    policy = policy_of(family, tmp_path / "policy")
    check_sampler(policy, HFSampler(), NEW)
    samplers: list[Any] = [HFSampler(max_rows=5), *([Engine(max_rows=5)] if family in NATIVE else [])]
    fits = any(decoder.fits(policy.model) for decoder in DECODERS)
    assert fits == (family in NATIVE)
    requests = requests_of(policy, draws=2)
    program = generated(policy, requests[0])
    second_end = program[len(program) // 2]
    policy.end_ids = (*policy.end_ids, second_end)  # as where a generation config names several
    reference = family_logits(policy, requests)
    for sampler in samplers:
        samples = list(sampler.sample(policy, requests, SAMPLING, seed=1))
        greedy = {s.request: list(s.token_ids) for s in samples if s.draw == -1}
        assert greedy == {i: generated(policy, request) for i, request in enumerate(requests)} == reference
        drawn = [s for s in samples if s.draw >= 0]
        assert all(len(s.token_ids) == NEW or s.token_ids[-1] in policy.end_ids for s in drawn)
        trained_equals_sampled(policy, requests, drawn, 1e-4 if family == "qwen3_next" else 1e-5)
    policy.eval()
    policy.export(tmp_path / "again")
    reloaded = pretrained(name=family, path=str(tmp_path / "again"), max_prompt_tokens=48)
    assert torch.equal(logprobs(reloaded, requests, drawn), logprobs(policy, requests, drawn))


def family_logits(policy: TransformersPolicy, requests: list[Request]) -> dict[int, list[int]]:
    """The greedy programs by transformers' forward without cache or padding, one token after another."""
    programs = {}
    for i, request in enumerate(requests):
        inputs, start = {}, request.prompt_ids
        if policy.model.config.is_encoder_decoder:
            inputs, start = {"input_ids": torch.tensor([request.prompt_ids])}, decoder_prompt(policy.model, ())
        program: list[int] = []
        while len(program) < NEW and not (program and program[-1] in policy.end_ids):
            read = torch.tensor([[*start, *program]])
            if inputs:  # T5Gemma would mask tokens that are its padding
                inputs |= {"decoder_input_ids": read, "decoder_attention_mask": torch.ones_like(read)}
            with torch.no_grad():
                logits = policy.model(**inputs or {"input_ids": read}, use_cache=False).logits
            program.append(int(logits[0, -1].argmax()))
        programs[i] = program
    return programs


def batch_of(policy: TransformersPolicy, requests: list[Request], samples: list[Any]) -> tuple[torch.Tensor, ...]:
    """Prompts and responses as training has them: padded, rows of one prompt side by side."""
    programs = [
        Program("p", "", requests[s.request].prompt_ids, s.token_ids, (), s.logprobs, s.finish) for s in samples
    ]
    batch = collate_programs(programs, policy.pad_id, policy.prompt_padding)
    return batch.prompt_BS, batch.prompt_mask_BS, batch.response_BT, batch.mask_BT


def logprobs(policy: TransformersPolicy, requests: list[Request], samples: list[Any]) -> torch.Tensor:
    with torch.no_grad():
        return policy.token_logprobs(*batch_of(policy, requests, samples), SAMPLING)[0]


def trained_equals_sampled(
    policy: TransformersPolicy, requests: list[Request], samples: list[Any], tolerance: float
) -> None:
    """At the first step of RL, in training mode, nothing was learnt: every ratio is 1, and so is the KL 0."""
    import copy

    samples = sorted(samples, key=lambda s: (s.request, s.draw))
    reference = copy.deepcopy(policy).eval()
    policy.train()
    policy.start_phase(supervised=False)
    mask = batch_of(policy, requests, samples)[3]
    trained = logprobs(policy, requests, samples)[mask]
    stored = torch.tensor([p for s in samples for p in s.logprobs])
    torch.testing.assert_close(trained, stored, rtol=1e-6, atol=tolerance)
    torch.testing.assert_close((trained - stored).exp(), torch.ones_like(stored), rtol=0, atol=1e-4)
    kl = trained - logprobs(reference, requests, samples)[mask]
    torch.testing.assert_close(kl, torch.zeros_like(kl), rtol=0, atol=1e-4)


@pytest.mark.parametrize("family", REFUSED)
def test_a_family_that_is_not_served_exactly_is_refused_before_work(family: str, tmp_path: Path):
    with pytest.raises(ValueError, match=REFUSED[family]):
        check_sampler(policy_of(family, tmp_path), HFSampler(), NEW)


def test_learned_prompts_are_refused_where_the_encoder_is_not_t5s(tmp_path: Path):
    policy_of("umt5", tmp_path)
    prompts = {"kind": "shared", "tasks": ["generation"], "keys": 1, "tokens": 1}
    with pytest.raises(ValueError, match=r"holds a UMT5ForConditionalGeneration and prompts= trains vectors in a T5's"):
        pretrained(name="umt5", path=str(tmp_path), max_prompt_tokens=48, prompts=prompts)


class Wrong(HFSampler):
    """A sampler whose programs are its own and whose numbers are not, or that ends in an error of a library."""

    def __init__(self, fault: str) -> None:
        super().__init__()
        self.fault = fault

    def sample(self, *args: Any, **kwargs: Any) -> Any:
        from dataclasses import replace

        for sample in super().sample(*args, **kwargs):
            if self.fault == "crash":
                raise IndexError("list index\nout of range")
            if self.fault == "refusal":
                raise ValueError("use a cache of another class")
            if self.fault == "tokens":
                yield replace(sample, token_ids=(*sample.token_ids[:-1], sample.token_ids[-1] ^ 1))
            else:
                yield replace(sample, logprobs=tuple(p - 0.05 for p in sample.logprobs))


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("tokens", r"it draws less likely tokens than the best, by .* nats"),
        ("logprobs", r"its log-probs differ by 0\.05 nats from transformers' own"),
        ("crash", r"it ends in IndexError: list index out of range"),
        ("refusal", r"it ends in ValueError: use a cache of another class"),
    ],
)
def test_a_sampler_that_draws_from_something_else_is_refused(fault: str, said: str, tmp_path: Path):
    policy = policy_of("llama", tmp_path)
    with pytest.raises(ValueError, match=rf"^generation: Wrong does not serve a LlamaForCausalLM exactly \({said}\)"):
        check_sampler(policy, Wrong(fault), NEW)


def test_training_that_sees_other_probabilities_is_refused(tmp_path: Path):
    policy = policy_of("llama", tmp_path)
    right = policy.token_logprobs
    policy.token_logprobs = lambda *args, **kwargs: (right(*args, **kwargs)[0] * 1.1, None)  # type: ignore[method-assign]
    with pytest.raises(ValueError, match=r"log-probs of training differ by .* nats from transformers' own"):
        check_sampler(policy, HFSampler(), NEW)


def test_noise_of_training_that_is_no_dropout_is_refused(tmp_path: Path):
    policy = policy_of("llama", tmp_path)
    check_sampler(policy, HFSampler(), NEW)
    layer = policy.model.model.layers[0].mlp
    layer.register_forward_hook(lambda module, _inputs, output: output * 1.1 if module.training else output)
    with pytest.raises(ValueError, match=r"log-probs of training differ by .* nats from transformers' own"):
        check_sampler(policy, HFSampler(), NEW)


def test_the_self_check_leaves_no_trace(tmp_path: Path):
    import time

    policy = policy_of("t5", tmp_path).train()
    state = torch.get_rng_state()
    start = time.monotonic()
    check_sampler(policy, HFSampler(), NEW)
    assert time.monotonic() - start < 1
    assert torch.equal(torch.get_rng_state(), state)
    assert policy.training
    assert policy.model.training
    assert policy.token_count.pop_efficiency() is None


@pytest.mark.parametrize("sampler", [HFSampler(), Engine(), Engine(compiled=False)])
@pytest.mark.parametrize("family", ["codegen", "llama"])
def test_a_program_that_could_outgrow_the_context_with_its_prefix_is_refused(sampler: Any, family: str, tmp_path: Path):
    policy = policy_of(family, tmp_path)
    fits = Request("p", (5,) * 40, (0,), prefix_ids=(6,) * (CONTEXT - 40 - NEW))
    assert len(list(sampler.sample(policy, [fits], SAMPLING, seed=0))) == 1
    longer = Request("p", (5,) * 41, (0,), prefix_ids=fits.prefix_ids)
    with pytest.raises(ValueError, match=rf"max_new_tokens is {NEW}, which with prompt and prefix makes 97 tokens"):
        list(sampler.sample(policy, [longer], SAMPLING, seed=0))


EXPERTS = {"mixtral", "qwen3_moe", "deepseek_v3"}  # slow, and as gpt_oss
CHECKPOINTED = cases(set(FAMILIES) - set(REFUSED) - EXPERTS, (*SLOW, "longt5_global", "t5gemma", "mamba", "gemma2"))


@pytest.mark.parametrize("family", CHECKPOINTED)
def test_recomputed_activations_and_shared_prompts_give_the_same_gradient(family: str, tmp_path: Path):
    policy = policy_of(family, tmp_path).train()
    policy.start_phase(supervised=False)
    ids = [policy.encode_prompt(Prompt(head="", question=text, tail="\n")) for text in PROMPTS[:2]]
    requests = [Request(f"p/{i}", prompt, ()) for i, prompt in enumerate(ids)]
    responses = [(5, 6, 7, 8, 9), (9, 8, 7), (11, 5), (6, 6, 6, 6)]
    samples = [Sample(i // 2, i % 2, r, (0.0,) * len(r), FinishReason.LENGTH) for i, r in enumerate(responses)]

    def gradient() -> torch.Tensor:
        policy.zero_grad()
        logprobs_BT = policy.token_logprobs(*batch_of(policy, requests, samples))[0]
        (logprobs_BT * torch.arange(1, 5)[:, None]).sum().backward()
        return torch.cat([p.grad.flatten() for p in policy.parameters() if p.grad is not None])

    policy.share_prompts = False
    expected = gradient()
    policy.share_prompts = True
    scale = float(expected.abs().max())
    torch.testing.assert_close(gradient(), expected, rtol=0, atol=1e-5 * scale)
    checkpoint_activations(policy.model)
    for _ in range(2):  # the second time, what the model does with caches is known
        torch.testing.assert_close(gradient(), expected, rtol=0, atol=1e-5 * scale)
