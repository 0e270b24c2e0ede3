"""How many tokens a model can read, prompt and response together."""

from __future__ import annotations

from typing import Any

from rltf.types import Sampling
from rltf.validation import OptionError


def context_of(config: Any) -> int | None:
    """The context that a decoder-only model was made for; None where nothing in its configuration bounds it (ALiBi,
    recurrent models). Learned positions end there with an error, rotary ones go on and mean nothing."""
    if getattr(config, "alibi", False):  # Falcon's positions then count for nothing
        return None
    positions: int | None = getattr(config, "max_position_embeddings", None) or getattr(config, "max_seq_len", None)
    rope = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {}
    if positions is not None and positions < 1:  # XLNet's -1: without a bound
        return None
    if positions is None or rope.get("rope_type", rope.get("type")) not in ("linear", "dynamic", "yarn"):
        return positions
    # Scaled tables reach `factor` times as far as the model did before; some configurations count that in, others not.
    original = rope.get("original_max_position_embeddings") or positions
    return max(positions, int(original * rope.get("factor", 1.0)))


def check_context(
    context: int | None, max_prompt_tokens: int, sampling: Sampling, response_limit: int | None = None
) -> None:
    """Refuses lengths with which a program could get longer than the model's context.

    Args:
        context: tokens of prompt and response at most; None: nothing bounds them.
        max_prompt_tokens: of a prompt.
        sampling: of the programs.
        response_limit: tokens of a response at most, in a decoder with positions of its own; None: nothing bounds them.

    Raises:
        OptionError: it could.
    """
    if context is not None and max_prompt_tokens + sampling.max_new_tokens > context:
        raise OptionError(
            "generation.sampling.max_new_tokens",
            sampling.max_new_tokens,
            f"at most {max(0, context - max_prompt_tokens)}, since the model's context is {context} tokens and "
            f"model.max_prompt_tokens={max_prompt_tokens} of them are the prompt's",
        )
    if response_limit is not None and sampling.max_new_tokens > response_limit:
        raise OptionError(
            "generation.sampling.max_new_tokens",
            sampling.max_new_tokens,
            f"at most {response_limit}, since the model's decoder has no more positions",
        )
