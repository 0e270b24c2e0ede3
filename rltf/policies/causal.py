"""Decoder-only policies: CodeGen, and the Llama type (Llama, Qwen, SmolLM). B rows, P distinct prompts, R rows
that run together, S prompt tokens, T response tokens, D width."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from typing_extensions import override

from rltf.policies import compat
from rltf.policies.context import context_of
from rltf.policies.forward.shared_prompts import SharedPrompts, distinct_prompts, prompts_to_rows
from rltf.policies.head import logit_scaling
from rltf.policies.pretrained import PromptForward, TransformersPolicy
from rltf.policies.text.encoding import encode_continuation
from rltf.types import Prompt
from rltf.validation import OptionError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase
    from transformers.cache_utils import Cache

MIN_SAVED_SHARE = 0.1
"""Share of a batch's prompt and response tokens that sharing must save to be worth a second pass over the layers: at
0.1 a step of a small Llama on a CPU was 1.06 times as fast, at 0.3 it was 1.45 times."""


class CausalPolicy(TransformersPolicy):
    """A model that continues its prompt. Prompts are padded on the left, so that every response starts at one column;
    recurrent layers are run with all padding behind the response, and with a row's own prompt.

    Args:
        model: a causal language model whose logits are its head times its last hidden states, scaled or capped.
        tokenizer, max_prompt_tokens: see `TransformersPolicy`.
        share_prompts: whether rows with the same prompt share it, where layers attend to all of it.

    Raises:
        ValueError: the prompt alone would fill the model's context.
    """

    prompt_padding = "left"
    continues_prompt = True

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        max_prompt_tokens: int,
        share_prompts: bool = True,
    ) -> None:
        super().__init__(model, tokenizer, max_prompt_tokens)
        self.logit_scaling = logit_scaling(model)
        self.reads_padding = compat.has_recurrent_layers(model)
        self.share_prompts = share_prompts
        self._drops_caches_in_training = False
        self.context = context_of(model.config)
        if self.context is not None and max_prompt_tokens >= self.context:
            raise OptionError(
                "max_prompt_tokens", max_prompt_tokens, f"less than the model's context, {self.context} tokens"
            )

    @override
    def encode_prompt(self, prompt: Prompt) -> tuple[int, ...]:
        # Without the end of the text, even where the tokenizer closes every one.
        ids = super().encode_prompt(prompt)
        return ids[:-1] if len(ids) > 1 and ids[-1] == self.eos_id else ids

    @override
    def encode_answer(self, text: str) -> tuple[int, ...]:
        return (*encode_continuation(self.tokenizer, text), self.eos_id)

    @override
    def forward_prompts(self, prompt_BS: Tensor, prompt_mask_BS: Tensor, lengths: list[int]) -> PromptForward:
        """Runs the prompts if rows share them; otherwise each runs with its response."""
        shared = self._shared_prompts(prompt_BS, prompt_mask_BS, lengths)
        if shared is not None:
            from rltf.policies.forward import prefix_cache

            prompts = prefix_cache.recording_cache(self.model)
            last_P1D = self._hidden(shared.prompt_PS, shared.mask_PS, prompts)[:, -1:]
            if not prefix_cache.has_recorded(prompts):  # GPT-2 where activations are recomputed
                self._drops_caches_in_training, shared = True, None
        if shared is None:
            self.token_count.add(int(prompt_mask_BS.sum()), prompt_mask_BS.numel())
            return PromptForward(partial(self._unshared_hidden, prompt_BS, prompt_mask_BS))
        self.token_count.add(int(shared.mask_PS.sum()), shared.mask_PS.numel())

        def response_hidden(row_R: Tensor, response_RT: Tensor, mask_RT: Tensor) -> Tensor:
            to_rows = prompts_to_rows(len(last_P1D), shared.prompt_index_B[row_R])
            first_R1D = to_rows(last_P1D)
            if response_RT.shape[1] == 1:
                return first_R1D
            mask = torch.cat([to_rows(shared.mask_PS), mask_RT[:, :-1]], dim=1)
            later_RTD = self._hidden(response_RT[:, :-1], mask, prefix_cache.prefix_cache(prompts, to_rows))
            return torch.cat([first_R1D, later_RTD], dim=1)

        return PromptForward(response_hidden)

    def _unshared_hidden(
        self, prompt_BS: Tensor, prompt_mask_BS: Tensor, row_R: Tensor, response_RT: Tensor, mask_RT: Tensor
    ) -> Tensor:
        """`PromptForward.response_hidden` with prompt and response in one pass. The last token of a response is left
        out: no token is drawn after it."""
        ids = torch.cat([prompt_BS[row_R], response_RT[:, :-1]], dim=1)
        mask = torch.cat([prompt_mask_BS[row_R], mask_RT[:, :-1]], dim=1)
        hidden = self._padded_last(ids, mask) if self.reads_padding else self._hidden(ids, mask)
        return hidden[:, prompt_BS.shape[1] - 1 :]

    def _padded_last(self, ids: Tensor, mask: Tensor) -> Tensor:
        """`_hidden`, with the padding of each row moved behind its text for the pass."""
        order = (~mask).long().argsort(dim=1, stable=True)
        hidden = self._hidden(ids.gather(1, order), mask.gather(1, order))
        compat.forget_layer_states(self.model)
        return hidden.take_along_dim(order.argsort(1).unsqueeze(-1), 1)

    def _shared_prompts(self, prompt_BS: Tensor, prompt_mask_BS: Tensor, lengths: list[int]) -> SharedPrompts | None:
        """The distinct prompts, where running them apart is worth it."""
        from rltf.policies.forward import prefix_cache

        shares = self.share_prompts and not self.reads_padding
        shares = shares and not (self.training and self._drops_caches_in_training)
        shared = distinct_prompts(prompt_BS, prompt_mask_BS) if shares else None
        if shared is None:
            return None
        rows, length = prompt_BS.shape
        saved = (rows - len(shared.prompt_PS)) * length
        if saved < MIN_SAVED_SHARE * (rows * length + sum(lengths)) or not prefix_cache.can_read_prefixes(self.model):
            return None
        return shared

    def _hidden(self, ids: Tensor, mask: Tensor, cache: Cache | None = None) -> Tensor:
        """Last hidden states of the ids, which are the last columns of `mask`."""
        position_ids = (mask.long().cumsum(1) - 1).clamp_(min=0)
        return self.model.base_model(
            input_ids=ids,
            attention_mask=mask.long(),
            position_ids=position_ids[:, -ids.shape[1] :],
            past_key_values=cache,
            use_cache=False,
        ).last_hidden_state
