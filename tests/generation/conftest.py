"""Tiny models of every family with random weights, the thinnest policy around them, and a stand-in for CUDA graphs."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from models import EOS, PAD, codegen_model, codet5p_model, gpt2_model, llama_model, qwen2_model, t5_model
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from rltf.generation.engine import decode_state
from rltf.generation.engine.cuda_graphs import CudaGraphRunner
from rltf.policies.compat import t5_output_scale
from rltf.policies.context import context_of
from rltf.policies.decoding import cache_torch
from rltf.types import Request, Span

VOCAB = 48


class BarePolicy:
    """The part of a policy that samplers use. Each token decodes to two letters, special ones to none."""

    def __init__(self, model: Any) -> None:
        self.model, self.end_ids, self.pad_id = model, (EOS,), PAD
        self.context = context_of(model.config)
        self.response_limit, self.reads_padding = None, False

    def decode(self, token_ids: tuple[int, ...]) -> tuple[str, tuple[Span, ...]]:
        pieces = ["" if i in (EOS, PAD) else chr(97 + i // 26) + chr(97 + i % 26) for i in token_ids]
        ends = [sum(map(len, pieces[: i + 1])) for i in range(len(pieces))]
        return "".join(pieces), tuple((end - len(piece), end) for piece, end in zip(pieces, ends, strict=True))


MODELS = {
    "t5": lambda: t5_model(VOCAB, dropout_rate=0.1),
    "t5_gated_untied": lambda: t5_model(VOCAB, feed_forward_proj="gated-gelu", tie_word_embeddings=False),
    "llama": lambda: llama_model(VOCAB),
    "qwen2": lambda: qwen2_model(VOCAB),
    "codegen": lambda: codegen_model(VOCAB, 64, n_positions=96),
    "codet5p": lambda: codet5p_model(VOCAB, 64, n_positions=96),
}


def random_model(name: str, seed: int = 0) -> Any:
    """Norms and biases are random as well, and causal weights larger than usual, so that no term can hide."""
    torch.manual_seed(seed)
    model = MODELS[name]().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if model.config.model_type != "t5" and parameter.dim() == 2:
                parameter *= 8
            if parameter.dim() == 1:
                parameter += 0.3 * torch.randn_like(parameter)
        if model.config.model_type == "t5" and t5_output_scale(model.config) == 1.0:
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
    return BarePolicy(t5_model(VOCAB, num_decoder_layers=4))


@pytest.fixture
def gpt2_policy() -> BarePolicy:
    """A policy of a family without a decoder."""
    return BarePolicy(gpt2_model(VOCAB))


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
        inputs = {tensor.untyped_storage().data_ptr() for tensor in tensors_in((args, kwargs))}
        outputs = [tensor for tensor in tensors_in(out) if tensor.untyped_storage().data_ptr() not in inputs]
        self.calls.append((func, args, kwargs or {}, outputs))
        return out

    def replay(self) -> None:
        for *_, outputs in self.calls:
            for tensor in outputs:
                tensor.fill_(float("nan") if tensor.is_floating_point() or tensor.is_complex() else 1 << 6)
        for func, args, kwargs, outputs in self.calls:
            replayed = tensors_in(func(*args, **kwargs))
            for old, new in zip(outputs, replayed, strict=bool(outputs)):
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


class TapeRunner(CudaGraphRunner):
    """`CudaGraphRunner` whose captures are tapes."""

    def __init__(self, device: torch.device, limit: int) -> None:
        super().__init__(device, limit)
        self.host_sync_interval = 3
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
def tape_runners(monkeypatch: pytest.MonkeyPatch) -> list[TapeRunner]:
    """Engines with `compiled=False` run steps as on CUDA; the runners of their decode states are listed here."""
    runners: list[TapeRunner] = []

    def step_runner(device: torch.device, graphs: bool, limit: int) -> TapeRunner:
        runners.append(TapeRunner(device, limit))
        return runners[-1]

    monkeypatch.setattr(decode_state, "step_runner", step_runner)
    monkeypatch.setattr(cache_torch, "_BUCKET_COLUMNS", 16)
    return runners
