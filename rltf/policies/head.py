"""What a model computes between its last hidden states and its logits: read from its configuration, then held to its
own forward pass, since log-probs are computed from hidden states."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from rltf.policies import compat
from rltf.policies.forward.logit_scaling import PLAIN, LogitScaling

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_CAPS = ("final_logit_softcapping", "logits_soft_cap")
"""Fields of configurations that cap logits: Gemma 2 and 3, T5Gemma; RecurrentGemma."""
_FACTORS = ("logit_scale", "lm_head_multiplier")
"""Fields that logits are multiplied by: Cohere; Falcon-H1."""
_DIVISORS = ("logits_scaling",)
"""Fields that logits are divided by: Granite."""
_LOGIT_FIELDS = re.compile(r"(?!.*(attn|attention|router)).*logits?_(.*cap|scal)|lm_head_multiplier$")
"""Names of all such fields, of families that are not known, too."""
_PROBE_SIZES = (1.0, 30.0, 1000.0)
"""Largest head product of a probe: what every cap leaves alone, what it bends, and what it cuts off. The last one is
enough for logits that nothing scales or caps."""
_HALF_TOLERANCE = 2e-2
"""Of logits that a model caps and scales in half precision."""


def logit_scaling(model: PreTrainedModel) -> LogitScaling:
    """The numbers that a model's configuration names between head and logits.

    Raises:
        ValueError: it names one whose meaning is not known.
    """
    config = model.config.get_text_config(decoder=True)
    fields = {n: v for n, v in vars(config).items() if _LOGIT_FIELDS.match(n) and v not in (None, False, 1)}
    scale = float(config.d_model**-0.5) if getattr(config, "scale_decoder_outputs", False) else 1.0
    cap: float | None = None
    for name, value in fields.items():
        if name in _CAPS and cap is None:
            cap = float(value)
        elif name in _FACTORS:
            scale *= float(value)
        elif name in _DIVISORS:
            scale /= float(value)
        else:
            raise ValueError(_refusal(model, f" ({name}={value})"))
    return LogitScaling(scale, cap)


def check_head(model: PreTrainedModel, scaling: LogitScaling) -> None:
    """Refuses a model whose logits are more than its head's products, scaled and capped: it would train on a wrong
    distribution. Hidden states are enlarged on the way to the head, since those of small weights show no cap.

    Args:
        model: with its head.
        scaling: from products to logits.

    Raises:
        ValueError: they are.
    """
    for size in _PROBE_SIZES if scaling != PLAIN else _PROBE_SIZES[-1:]:
        logits, products = _probe(model, size)
        exact = logits.dtype == torch.float32
        ours = scaling.logits(products.float())
        if not torch.allclose(logits.float(), ours, rtol=1e-3 if exact else _HALF_TOLERANCE, atol=1e-3):
            raise ValueError(_refusal(model, ""))


@torch.no_grad()
def _probe(model: PreTrainedModel, size: float) -> tuple[Tensor, Tensor]:
    """A model's logits of two tokens and the products of its head, at most `size`, (1, 2, V) each."""
    head, bias = model.get_output_embeddings(), compat.head_bias(model)
    hidden_states: list[Tensor] = []

    def enlarge(_module: nn.Module, _inputs: Any, output: Any) -> Any:
        hidden = output[0]
        products = nn.functional.linear(hidden, head.weight, bias)
        hidden_states.append(hidden * (size / products.abs().max().clamp(min=1e-6)))
        output.last_hidden_state = hidden_states[-1]
        return output

    # OPT calls the decoder inside its base; the states of both are enlarged to the same size.
    stacks = {module for module in (model.base_model, model.get_decoder()) if module is not model}
    ids = torch.tensor([[0, 1]], device=model.device)
    decoder_ids = {"decoder_input_ids": ids} if model.config.is_encoder_decoder else {}
    hooks = [module.register_forward_hook(enlarge) for module in stacks]
    try:
        logits = model(input_ids=ids, use_cache=False, **decoder_ids).logits
    finally:
        for hook in hooks:
            hook.remove()
    compat.forget_layer_states(model)
    return logits, nn.functional.linear(hidden_states[-1], head.weight, bias)


def _refusal(model: PreTrainedModel, reason: str) -> str:
    return (
        f"model.path holds a {type(model).__name__}, whose logits are not its head times its hidden states{reason}: "
        "expected a model whose logits are that, scaled or capped as its configuration says"
    )
