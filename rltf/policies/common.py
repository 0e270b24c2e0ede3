"""What every policy on a Hugging Face model has in common: checks, decoding, log-probs of packed tokens, export."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from rltf.policies import compat, lora
from rltf.policies.base import Policy
from rltf.policies.encoding import encode_prompt
from rltf.policies.logprobs import head_logprobs
from rltf.policies.tokens import TokenBytes
from rltf.types import Prompt, Sampling, Span

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from rltf.policies.decoding.base import PromptStates


class TransformersPolicy(Policy):
    """A Hugging Face model with its tokenizer. B rows, S prompt tokens, T response tokens, N real response tokens.

    Args:
        model: with a language-model head.
        tokenizer: a fast one that has an end-of-sequence token.
        max_prompt_tokens: longest prompt, special tokens included; the question is cut to fit.

    Raises:
        ValueError: the tokenizer has no end-of-sequence token, or more tokens than the model has embeddings.
    """

    continues_prompt: bool
    """Whether a response continues the text of the prompt (causal) or starts afresh (encoder-decoder)."""
    context: int | None
    """Most tokens of prompt and response together; None where positions are relative and nothing bounds them."""

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, max_prompt_tokens: int) -> None:
        super().__init__()
        rows = model.get_input_embeddings().weight.shape[0]
        if tokenizer.eos_token_id is None:
            raise ValueError(
                f"model.path holds a tokenizer without an end-of-sequence token ({len(tokenizer)} tokens): expected "
                "one that names its eos_token"
            )
        if len(tokenizer) > rows:
            raise ValueError(
                f"model.path holds a tokenizer of {len(tokenizer)} tokens but a model of {rows} embeddings: expected "
                "the tokenizer of this model"
            )
        if max_prompt_tokens < 1:
            raise ValueError(f"model.max_prompt_tokens is {max_prompt_tokens}: expected at least 1")
        self.model = model
        self.tokenizer = tokenizer
        self.max_prompt_tokens = max_prompt_tokens
        self.eos_id = tokenizer.eos_token_id
        # Padding is masked everywhere, so a model without a pad token needs no new row in its embedding.
        self.pad_id = self.eos_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id
        self._tokens = TokenBytes(tokenizer)

    def encode_prompt(self, prompt: Prompt) -> tuple[int, ...]:
        """See `Policy.encode_prompt`. `prompt.answer` is the end of what the policy reads."""
        return encode_prompt(self.tokenizer, prompt, self.max_prompt_tokens)

    def decode(self, token_ids: tuple[int, ...]) -> tuple[str, tuple[Span, ...]]:
        """See `Policy.decode`."""
        return self._tokens.decode(
            token_ids, strip_leading_space=self._tokens.leading_space and not self.continues_prompt
        )

    def token_logprobs(
        self,
        prompt_BS: Tensor,
        prompt_mask_BS: Tensor,
        response_BT: Tensor,
        mask_BT: Tensor,
        sampling: Sampling | None = None,
        entropy: bool = True,
    ) -> tuple[Tensor, Tensor]:
        """See `Policy.token_logprobs`. Padding costs nothing in the head: only real tokens pass it."""
        hidden_BTD = self.response_hidden(prompt_BS, prompt_mask_BS, response_BT, mask_BT)
        head = self.model.get_output_embeddings()
        logprobs_N, entropy_N = head_logprobs(
            hidden_BTD[mask_BT], head.weight, head.bias, response_BT[mask_BT], sampling, entropy
        )
        zeros_BT = torch.zeros(mask_BT.shape, device=mask_BT.device)
        return zeros_BT.masked_scatter(mask_BT, logprobs_N), zeros_BT.masked_scatter(mask_BT, entropy_N)

    @abstractmethod
    def response_hidden(
        self, prompt_BS: Tensor, prompt_mask_BS: Tensor, response_BT: Tensor, mask_BT: Tensor
    ) -> Tensor:
        """hidden_BTD whose product with the head's weight (plus its bias) is the logits of `response_BT`. Values at
        padding are arbitrary."""

    def prefill(self, prompt_BS: Tensor, prompt_mask_BS: Tensor) -> PromptStates:
        """See `Policy.prefill`."""
        from rltf.policies.decoding import decoder_for

        return decoder_for(self.model).prefill(prompt_BS, prompt_mask_BS)

    @contextmanager
    def merged(self) -> Iterator[None]:
        """See `Policy.merged`."""
        with lora.merged(self.model):
            yield

    def export(self, folder: Path) -> None:
        """Writes the Hugging Face layout: config, safetensors, tokenizer. Adapters are merged into the weights, and
        also written on their own, in PEFT's format, to `folder/adapter`."""
        folder.mkdir(parents=True, exist_ok=True)
        with compat.without_progress_bars():
            lora.save(self.model, folder)
        self.tokenizer.save_pretrained(folder)
