"""The decoder of the Llama type and that of T5 under every switch, against one row of transformers' own forward without
padding and cache; `tests/policies/test_families.py` has `generate`, lists of end tokens and training."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from families import family_model
from rounding import teacher_forced

from rltf.generation.engine.engine import Engine
from rltf.policies import kernels
from rltf.policies.decoding import decoder_for
from rltf.policies.decoding.interfaces import Decoder
from rltf.types import Sampling

FAMILIES = ["mt5", "umt5", "llama_biases", "qwen3", "gemma2", "gemma3", "phi3", "olmo2", "smollm3", "starcoder2_window"]
SLOW = ["t5", "llama", "llama_llama3", "llama_yarn", "qwen2", "qwen2_window", "mistral", "mistral_window", "starcoder2"]
WINDOWS = {"gemma2": (8, None), "gemma3": (8, None), "phi3": (8, 8), "starcoder2_window": (8, 8)}
LENGTHS = [1, 5, 30, 2]
VOCAB = 48
NEW = 12


def family_policy(family: str, make_policy: Any) -> Any:
    """Weights of size 0.25; norms and biases are random as well."""
    model = family_model(family, VOCAB)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
        if family == "mt5":  # whose logits of 40 would be rounded that much more
            model.decoder.final_layer_norm.weight *= model.config.d_model**-0.5
    if family == "gemma2":  # the scores of these weights are small
        model.config.attn_logit_softcapping, model.config.final_logit_softcapping = 1.0, 3.0
        for layer in model.model.layers:
            layer.self_attn.attn_logit_softcapping = 1.0
    return make_policy(model)


@pytest.fixture
def compiled(request: pytest.FixtureRequest) -> bool:
    """Whether compiled kernels decode; otherwise torch's do, one by one or as a step is replayed on CUDA."""
    if request.param == "graphs":
        request.getfixturevalue("tape_runners")
    if request.param == "compiled" and kernels.load() is None:
        pytest.skip("no C compiler")
    return bool(request.param == "compiled")


def errors(policy: Any, requests: Any, engine: Engine) -> tuple[float, int]:
    """The largest difference of a log-prob, in nats, and how many greedy tokens are not the most probable ones."""
    largest, others = 0.0, 0
    for sample in engine.sample(policy, requests, Sampling(max_new_tokens=NEW), seed=1):
        logits = teacher_forced(policy, requests[sample.request], sample.token_ids)
        tokens = torch.tensor(sample.token_ids)
        expected = logits.log_softmax(-1).gather(1, tokens[:, None])[:, 0]
        largest = max(largest, float((torch.tensor(sample.logprobs) - expected).abs().max()))
        others += int((logits.argmax(-1) != tokens).sum()) if sample.draw == -1 else 0
    return largest, others


CASES = [
    *((family, cache) for family in FAMILIES for cache in ("compiled", "torch")),
    *((family, "graphs") for family in ("umt5", "gemma2", "gemma3")),
    *(pytest.param(f, c, marks=pytest.mark.slow) for f in SLOW for c in ("compiled", "torch", "graphs")),
]


@pytest.mark.parametrize(("family", "compiled"), CASES, indirect=["compiled"])
def test_log_probs_equal_those_of_one_row_without_padding_and_cache(
    family: str, compiled: bool, make_policy: Any, make_requests: Any
):
    policy = family_policy(family, make_policy)
    requests = make_requests(LENGTHS, 2, greedy=True, prefix_ids=(7, 3, 11))
    largest, others = errors(policy, requests, Engine(max_rows=5, compiled=compiled))
    assert (largest < 1e-5, others) == (True, 0), largest


@pytest.mark.parametrize("family", WINDOWS)
def test_a_window_that_is_left_out_shows(family: str, make_policy: Any, make_requests: Any, monkeypatch: Any):
    policy = family_policy(family, make_policy)
    assert decoder_for(policy.model, 45).windows == WINDOWS[family]
    assert decoder_for(policy.model, 8).windows == ()  # what is as long as the longest row sees all of it
    monkeypatch.setattr("rltf.policies.decoding.llama.windows_of", lambda *_: ())
    assert errors(policy, make_requests([30], 1), Engine(compiled=False))[0] > 1e-3


def test_a_cap_of_scores_that_is_left_out_shows(make_policy: Any, make_requests: Any, monkeypatch: Any):
    policy = family_policy("gemma2", make_policy)
    monkeypatch.setattr("rltf.policies.decoding.cache_torch.soft_cap", lambda scores, _cap: scores)
    assert errors(policy, make_requests([5], 1), Engine(compiled=False))[0] > 1e-3


@pytest.mark.parametrize("family", ["umt5", "gemma3", "phi3", "starcoder2_window"])
def test_adapters_of_all_layers_are_drawn_with(family: str, make_policy: Any, make_requests: Any):
    peft = pytest.importorskip("peft", reason="the lora extra is not installed")
    policy = family_policy(family, make_policy)
    before = errors(policy, make_requests([5], 1), Engine())[0]
    linear = {n.rsplit(".", 1)[-1] for n, m in policy.model.named_modules() if isinstance(m, torch.nn.Linear)}
    config = peft.LoraConfig(r=2, target_modules=sorted(linear - {"lm_head"}))
    peft.inject_adapter_in_model(config, policy.model)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for name, parameter in policy.model.named_parameters():
            if "lora_" in name:
                parameter.copy_(0.15 * torch.randn(parameter.shape, generator=generator))
    assert max(before, errors(policy, make_requests([5, 12], 2), Engine())[0]) < 1e-5


@pytest.mark.parametrize("family", ["umt5", "gemma3"])
def test_captured_steps_see_the_weights_of_their_moment(
    family: str, make_policy: Any, make_requests: Any, tape_runners: Any
):
    policy = family_policy(family, make_policy)
    engine = Engine(max_rows=5, compiled=False, graphs=True)
    for _ in range(2):
        assert errors(policy, make_requests(LENGTHS, 2), engine)[0] < 2e-5
        with torch.no_grad():
            for parameter in policy.model.parameters():
                parameter.mul_(1.05)
    assert len(tape_runners) == 1


@pytest.mark.parametrize("family", ["gemma3", "qwen3"])
def test_bfloat16_log_probs_stray_no_further_than_those_of_transformers_own_forward(
    family: str, make_policy: Any, make_requests: Any
):
    policy = family_policy(family, make_policy)
    policy.model.to(torch.bfloat16)
    requests = make_requests(LENGTHS, 3)
    samples = list(Engine(max_rows=6).sample(policy, requests, Sampling(max_new_tokens=20), seed=5))
    logprobs = []
    for dtype in (torch.bfloat16, torch.float32):
        policy.model.to(dtype)
        for sample in samples:
            logits = teacher_forced(policy, requests[sample.request], sample.token_ids).float()
            logprobs.append(logits.log_softmax(-1).gather(1, torch.tensor(sample.token_ids)[:, None])[:, 0])
    theirs, exact = torch.cat(logprobs[: len(samples)]), torch.cat(logprobs[len(samples) :])
    ours = torch.tensor([logprob for sample in samples for logprob in sample.logprobs])
    assert (ours - exact).abs().mean() < 1.25 * (theirs - exact).abs().mean() + 1e-3


@pytest.mark.parametrize(
    ("family", "fields", "option"),
    [
        ("phi3", {"rope_parameters": {"rope_type": "longrope", "rope_theta": 1e4}}, "rope_type=longrope"),
        ("qwen3", {"layer_types": ["full_attention", "chunked_attention"]}, "layer_types=chunked_attention"),
        ("gemma3", {"use_bidirectional_attention": True}, "use_bidirectional_attention=true"),
    ],
)
def test_an_option_that_is_not_decoded_is_refused_by_its_name(
    family: str, fields: dict[str, Any], option: str, make_policy: Any
):
    model = family_policy(family, make_policy).model
    for key, value in fields.items():
        setattr(model.config, key, value)
    with pytest.raises(ValueError, match=rf"no decoder for {type(model).__name__} with {option}: expected a T5, .*=hf"):
        decoder_for(model)


def test_a_decoder_has_no_windows_or_cap_unless_it_says_so():
    assert (Decoder.windows, Decoder.score_cap) == ((), None)
