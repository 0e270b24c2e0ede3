"""Tiny models of every family with random weights, and the thinnest policy around them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map
from transformers import (
    CodeGenConfig,
    CodeGenForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
)

from rltf.generation.engine import decode_state
from rltf.generation.engine.cuda_graphs import CudaGraphRunner
from rltf.policies.compat import t5_output_scale
from rltf.policies.decoding import cache_torch
from rltf.types import Request, Span

VOCAB, EOS, PAD = 48, 1, 0


class BarePolicy:
    """What samplers ask of a policy. Each token decodes to two letters, special ones to none."""

    def __init__(self, model: Any) -> None:
        self.model, self.eos_id, self.pad_id = model, EOS, PAD

    def decode(self, token_ids: tuple[int, ...]) -> tuple[str, tuple[Span, ...]]:
        pieces = ["" if i in (EOS, PAD) else chr(97 + i // 26) + chr(97 + i % 26) for i in token_ids]
        ends = [sum(map(len, pieces[: i + 1])) for i in range(len(pieces))]
        return "".join(pieces), tuple((end - len(piece), end) for piece, end in zip(pieces, ends, strict=True))


def t5(**overrides: Any) -> Any:
    config: dict[str, Any] = dict(  # noqa: C408 - reads like the constructor
        vocab_size=VOCAB,
        d_model=32,
        d_kv=8,
        d_ff=64,
        num_layers=2,
        num_decoder_layers=2,
        num_heads=4,
        decoder_start_token_id=PAD,
        pad_token_id=PAD,
        eos_token_id=EOS,
    )
    return T5ForConditionalGeneration(T5Config(**(config | overrides)))


def _causal(config: Any, model: Any, **overrides: Any) -> Any:
    sizes: dict[str, Any] = dict(  # noqa: C408 - reads like the constructor
        vocab_size=VOCAB,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        bos_token_id=2,
        pad_token_id=PAD,
        eos_token_id=EOS,
    )
    return model(config(**(sizes | overrides)))


def codegen() -> Any:
    config = CodeGenConfig(
        vocab_size=VOCAB,
        n_embd=64,
        n_layer=2,
        n_head=4,
        rotary_dim=8,
        n_positions=96,
        bos_token_id=2,
        pad_token_id=PAD,
        eos_token_id=EOS,
    )
    return CodeGenForCausalLM(config)


MODELS = {
    "t5": t5,
    "t5_gated_untied": lambda: t5(feed_forward_proj="gated-gelu", tie_word_embeddings=False),
    "llama": lambda: _causal(LlamaConfig, LlamaForCausalLM),
    "qwen2": lambda: _causal(Qwen2Config, Qwen2ForCausalLM, tie_word_embeddings=True),
    "codegen": codegen,
}


def random_model(name: str, seed: int = 0) -> Any:
    """Norms and biases are random as well, and causal weights larger than usual, so that no term can hide."""
    torch.manual_seed(seed)
    model = MODELS[name]().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if not model.config.is_encoder_decoder and parameter.dim() == 2:
                parameter *= 8
            if parameter.dim() == 1:
                parameter += 0.3 * torch.randn_like(parameter)
        if model.config.is_encoder_decoder and t5_output_scale(model.config) == 1.0:
            # As the other T5 does in its forward: logits of 40 instead of 7 would be rounded that much more.
            model.decoder.final_layer_norm.weight *= model.config.d_model**-0.5
    return model


@pytest.fixture(params=MODELS)
def policy(request: pytest.FixtureRequest) -> BarePolicy:
    """One of each family."""
    return BarePolicy(random_model(request.param))


@pytest.fixture
def t5_policy() -> BarePolicy:
    return BarePolicy(random_model("t5"))


def requests_of(lengths: list[int], draws: int, seed: int = 0, **fields: Any) -> list[Request]:
    """Requests with random prompts of these lengths."""
    generator = torch.Generator().manual_seed(seed)
    return [
        Request(
            problem_id=f"problem/{i}",
            prompt_ids=tuple(torch.randint(2, VOCAB, (length,), generator=generator).tolist()),
            draws=tuple(range(draws)),
            **fields,
        )
        for i, length in enumerate(lengths)
    ]


@pytest.fixture
def make_requests() -> Any:
    return requests_of


@pytest.fixture
def make_policy() -> Any:
    """A policy around any model."""
    return BarePolicy


@pytest.fixture
def deep_decoder_policy() -> BarePolicy:
    """A T5 with more decoder than encoder layers."""
    torch.manual_seed(0)
    return BarePolicy(t5(num_decoder_layers=4).eval())


@pytest.fixture
def gpt2_policy() -> BarePolicy:
    """Of a family that no decoder knows."""
    config = GPT2Config(
        vocab_size=VOCAB, n_embd=16, n_layer=1, n_head=2, bos_token_id=2, eos_token_id=EOS, pad_token_id=PAD
    )
    return BarePolicy(GPT2LMHeadModel(config))


class Tape(TorchDispatchMode):
    """A CUDA graph's stand-in on the CPU: `replay` does the same kernels on the same memory with the same numbers from
    the host, after all that the step made on its way has been spoilt. It refuses what no graph can hold."""

    WAITS = frozenset(("_local_scalar_dense", "item", "nonzero", "masked_select", "_unique2", "equal", "lift_fresh"))
    """Kernels whose outcome the host must know, or that bring numbers from there."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, Any, Any, list[torch.Tensor]]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.name().removeprefix("aten::").split(".")[0]
        assert name not in self.WAITS, f"{name} waits for the device"
        out = func(*args, **(kwargs or {}))
        taken = {each.untyped_storage().data_ptr() for each in tensors_in((args, kwargs))}
        made = [each for each in tensors_in(out) if each.untyped_storage().data_ptr() not in taken]
        self.calls.append((func, args, kwargs or {}, made))
        return out

    def replay(self) -> None:
        for *_, made in self.calls:
            for tensor in made:
                tensor.fill_(float("nan") if tensor.is_floating_point() or tensor.is_complex() else 1 << 6)
        for func, args, kwargs, made in self.calls:
            again = tensors_in(func(*args, **kwargs))
            for old, new in zip(made, again, strict=bool(made)):
                old.copy_(new)

    @property
    def kernels(self) -> list[tuple[str, Any]]:
        """Every call: its name, the shapes and strides it took, and all numbers."""
        return [(func.name(), tree_map(signature, (args, kwargs))) for func, args, kwargs, _ in self.calls]


def tensors_in(tree: Any) -> list[torch.Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor)]


def signature(leaf: Any) -> Any:
    if isinstance(leaf, torch.Tensor):
        return tuple(leaf.shape), leaf.stride(), leaf.storage_offset(), leaf.dtype
    return leaf


class Taped(CudaGraphRunner):
    """`CudaGraphRunner` whose captures are tapes."""

    def __init__(self, device: torch.device, limit: int) -> None:
        super().__init__(device, limit)
        self.look_every = 3
        self.tapes: dict[Any, Tape] = {}

    def _capture(self, step: Any) -> Tape:
        with Tape() as tape:
            step()
        return tape

    def run(self, key: Any, step: Any) -> None:
        """A CUDA capture does nothing yet; the run that a tape is made of is its first replay."""
        if key in self._graphs and self._graphs[key] is None:
            self._graphs[key] = self.tapes[key] = self._capture(step)
            self.captures += 1
        else:
            super().run(key, step)


@pytest.fixture
def taped(monkeypatch: pytest.MonkeyPatch) -> list[Taped]:
    """Engines with `compiled=False` run steps as on CUDA; what each room's steps were is listed here."""
    made: list[Taped] = []

    def steps_on(device: torch.device, graphs: bool, limit: int) -> Taped:
        made.append(Taped(device, limit))
        return made[-1]

    monkeypatch.setattr(decode_state, "steps_on", steps_on)
    monkeypatch.setattr(cache_torch, "_COLUMNS", 16)
    return made
