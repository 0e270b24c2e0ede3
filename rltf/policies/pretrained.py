"""What all policies on Hugging Face models share: checks, decoding of tokens, log-probs, export."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

import torch
from torch import Tensor
from typing_extensions import override

from rltf.policies import compat, lora
from rltf.policies.base import Policy
from rltf.policies.dropout import PhaseDropout
from rltf.policies.forward.length_buckets import PASS_TOKENS, TokenCount, length_buckets
from rltf.policies.forward.logit_scaling import PLAIN, LogitScaling
from rltf.policies.forward.logprobs import head_logprobs, target_logits
from rltf.policies.quantization import shared_by_copies
from rltf.policies.text.encoding import encode_prompt
from rltf.policies.text.token_bytes import TokenBytes
from rltf.types import Prompt, Sampling, Span
from rltf.validation import require

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from rltf.policies.decoding.interfaces import PromptStates


@dataclass(frozen=True, slots=True)
class PromptForward:
    """The forward pass of B prompts, which that of their responses continues. R rows of those B."""

    response_hidden: Callable[[Tensor, Tensor, Tensor], Tensor]
    """(row_R, response_RT, mask_RT) -> hidden_RTD that the head reads for the tokens of the responses. Values at
    padding are arbitrary."""
    split_tokens: float = 0.0
    """Extra work, in tokens of equal cost, where responses run in more than one bucket."""


@dataclass(frozen=True, slots=True)
class TokenStates:
    """What the N real response tokens of a batch are drawn from. K hidden states."""

    hidden_KD: Tensor
    """Last hidden states, as the head reads them."""
    token_N: Tensor
    """int64: each token's index in the flattened batch."""
    state_N: Tensor | None = None
    """int64: each token's state; None: they have one each, in the same order."""


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
    logit_scaling: LogitScaling = PLAIN
    """From the products of the head with hidden states to logits."""

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
        require("max_prompt_tokens", max_prompt_tokens, at_least=1, whole=True)
        self.model = model
        self.tokenizer = tokenizer
        self.max_prompt_tokens = max_prompt_tokens
        self.eos_id = tokenizer.eos_token_id
        self.end_ids = _end_ids(model, self.eos_id)
        # Padding is masked everywhere, so a model without a pad token needs no new row in its embedding.
        self.pad_id = self.eos_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id
        self._token_bytes = TokenBytes(tokenizer, self.end_ids)
        self.token_count = TokenCount()
        self.dropout = PhaseDropout(model)
        """Replaced by whoever adds adapters, or knows better rates."""

    @override
    def encode_prompt(self, prompt: Prompt) -> tuple[int, ...]:
        # `prompt.answer` is the end of what the policy reads.
        return encode_prompt(self.tokenizer, prompt, self.max_prompt_tokens)

    @override
    def decode(self, token_ids: tuple[int, ...]) -> tuple[str, tuple[Span, ...]]:
        strips_space = self._token_bytes.leading_space and not self.continues_prompt
        return self._token_bytes.decode(token_ids, strip_leading_space=strips_space)

    @override
    def token_logprobs(
        self,
        prompt_BS: Tensor,
        prompt_mask_BS: Tensor,
        response_BT: Tensor,
        mask_BT: Tensor,
        sampling: Sampling | None = None,
        entropy: bool = True,
    ) -> tuple[Tensor, Tensor]:
        """The policy's hidden states go through the head, so only real tokens do, and equal tokens that are drawn from
        one state do once."""
        states = self.token_states(prompt_BS, prompt_mask_BS, response_BT, mask_BT)
        target_N = response_BT.flatten()[states.token_N]
        if states.state_N is None:
            values = self._head_logprobs(states.hidden_KD, target_N, sampling, entropy)
        else:
            tokens = self.model.get_output_embeddings().weight.shape[0]
            draw_U, draw_N = torch.unique(states.state_N * tokens + target_N, return_inverse=True)
            hidden_UD = states.hidden_KD.index_select(0, draw_U // tokens)
            of_draws = self._head_logprobs(hidden_UD, draw_U % tokens, sampling, entropy)
            values = (of_draws[0].index_select(0, draw_N), of_draws[1].index_select(0, draw_N))
        logprobs_BT, entropy_BT = (_placed(value_N, states.token_N, mask_BT) for value_N in values)
        return logprobs_BT, entropy_BT

    @override
    def token_values(
        self,
        prompt_BS: Tensor,
        prompt_mask_BS: Tensor,
        response_BT: Tensor,
        mask_BT: Tensor,
        entropy: bool = True,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """A value is the token's logit, one product a token, minus its log-prob: no second pass over the vocabulary."""
        hidden_ND, token_N = self.hidden_states(prompt_BS, prompt_mask_BS, response_BT, mask_BT)
        head, target_N = self.model.get_output_embeddings(), response_BT.flatten()[token_N]
        logprobs_N, entropy_N = self._head_logprobs(hidden_ND, target_N, None, entropy)
        bias_V = compat.head_bias(self.model)
        logits_N = target_logits(hidden_ND, head.weight, bias_V, target_N, self.logit_scaling)
        by_token = (logprobs_N, logits_N - logprobs_N, entropy_N)
        logprobs_BT, values_BT, entropy_BT = (_placed(value_N, token_N, mask_BT) for value_N in by_token)
        return logprobs_BT, values_BT, entropy_BT

    def _head_logprobs(
        self, hidden_ND: Tensor, target_N: Tensor, sampling: Sampling | None, entropy: bool
    ) -> tuple[Tensor, Tensor]:
        """log-probs_N of the targets and entropy_N (see `head_logprobs`)."""
        weight_VD, bias_V = self.model.get_output_embeddings().weight, compat.head_bias(self.model)
        return head_logprobs(hidden_ND, weight_VD, bias_V, target_N, sampling, entropy, self.logit_scaling)

    @override
    def hidden_states(
        self, prompt_BS: Tensor, prompt_mask_BS: Tensor, response_BT: Tensor, mask_BT: Tensor
    ) -> tuple[Tensor, Tensor]:
        states = self.token_states(prompt_BS, prompt_mask_BS, response_BT, mask_BT)
        if states.state_N is None:
            return states.hidden_KD, states.token_N
        return states.hidden_KD.index_select(0, states.state_N), states.token_N

    def token_states(
        self, prompt_BS: Tensor, prompt_mask_BS: Tensor, response_BT: Tensor, mask_BT: Tensor
    ) -> TokenStates:
        """The last hidden states that the real response tokens are drawn from.

        Prompts run once; responses of like length run together (see `rltf.policies.forward.length_buckets`)."""
        lengths = mask_BT.sum(1).tolist()
        prompts = self.forward_prompts(prompt_BS, prompt_mask_BS, lengths)
        pass_tokens = PASS_TOKENS.get(mask_BT.device.type, PASS_TOKENS["cuda"])
        hidden, token_indices = [], []
        for rows in length_buckets(lengths, pass_tokens, prompts.split_tokens):
            row_R = torch.tensor(rows, device=mask_BT.device)
            longest = max(1, *(lengths[row] for row in rows))
            mask_RT = mask_BT[row_R, :longest]
            # A mask as index would do the same, and its gradient takes four times as long.
            real_N = mask_RT.flatten().nonzero().squeeze(1)
            hidden_RTD = prompts.response_hidden(row_R, response_BT[row_R, :longest], mask_RT)
            hidden.append(hidden_RTD.flatten(0, 1).index_select(0, real_N))
            token_indices.append(row_R[real_N // longest] * mask_BT.shape[1] + real_N % longest)
            self.token_count.add(sum(lengths[row] for row in rows), len(rows) * longest)
        return TokenStates(torch.cat(hidden), torch.cat(token_indices))

    @abstractmethod
    def forward_prompts(self, prompt_BS: Tensor, prompt_mask_BS: Tensor, lengths: list[int]) -> PromptForward:
        """Runs what needs to run once for B prompts, and counts their tokens in `token_count`.

        Args:
            prompt_BS: int64 token ids.
            prompt_mask_BS: bool, True at real tokens.
            lengths: tokens of each row's response.
        """

    @override
    def prefill(self, prompt_BS: Tensor, prompt_mask_BS: Tensor) -> PromptStates:
        from rltf.policies.decoding import decoder_for

        return decoder_for(self.model).prefill(prompt_BS, prompt_mask_BS)

    @override
    def start_phase(self, supervised: bool) -> None:
        self.dropout.start(supervised)

    @override
    @contextmanager
    def without_dropout(self) -> Iterator[None]:
        with self.dropout.zero_rates():
            yield

    @override
    @contextmanager
    def merged_adapters(self) -> Iterator[None]:
        with lora.merged_adapters(self.model):
            yield

    @override
    def copy(self) -> Self:
        return copy.deepcopy(self, {id(self.tokenizer): self.tokenizer, **shared_by_copies(self.model)})

    @override
    def export(self, folder: Path, max_new_tokens: int | None = None) -> None:
        """Writes the Hugging Face layout: config, with the dropout that the weights were made with, safetensors,
        tokenizer. Adapters are merged into the weights, and also written on their own, in PEFT's format, to
        `folder/adapter`. Adapters above weights in 4 bits are written alone, to `folder` itself."""
        folder.mkdir(parents=True, exist_ok=True)
        with compat.without_progress_bars(), self.dropout.original_rates(), self._generating(max_new_tokens):
            lora.save_model(self.model, folder)
        compat.save_tokenizer(self.tokenizer, folder)

    @contextmanager
    def _generating(self, max_new_tokens: int | None) -> Iterator[None]:
        """Inside, the model's own `generate` draws so many tokens by default."""
        config = self.model.generation_config
        if config is None or max_new_tokens is None:
            yield
            return
        before = config.max_new_tokens
        config.max_new_tokens = max_new_tokens
        try:
            yield
        finally:
            config.max_new_tokens = before


def _placed(value_N: Tensor, token_N: Tensor, mask_BT: Tensor) -> Tensor:
    """Values of N tokens at their places in the batch, 0 elsewhere."""
    zeros = torch.zeros(mask_BT.numel(), device=mask_BT.device)
    return zeros.index_copy(0, token_N, value_N).view(mask_BT.shape)


def _end_ids(model: PreTrainedModel, eos_id: int) -> tuple[int, ...]:
    """The tokens at which transformers' `generate` would stop, the tokenizer's first. Instruct models have several (a
    turn's end and a text's end), and a prompt without a chat template is answered up to the other one."""
    ids = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
    listed_ids = [] if ids is None else [ids] if isinstance(ids, int) else list(ids)
    rows = model.get_input_embeddings().weight.shape[0]
    return tuple(dict.fromkeys([eos_id, *(i for i in listed_ids if 0 <= i < rows)]))
