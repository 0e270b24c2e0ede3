"""Encoder-decoder policies: T5, CodeT5 and CodeT5+ (220M, 770M). B rows, P distinct prompts, G groups of rows with one
prompt, S prompt tokens, T response tokens, D width."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from rltf.policies import compat
from rltf.policies.common import TransformersPolicy
from rltf.policies.encoding import encode_target
from rltf.policies.sharing import distinct

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


class Seq2SeqPolicy(TransformersPolicy):
    """A T5-type model.

    The prompt goes to the encoder, with `Prompt.answer` at its end; the response is all that the decoder writes. Rows
    with the same prompt share one run of the encoder and the keys and values that the decoder makes of it; gradients
    add up: exact without dropout, and with dropout the rows share its noise.

    Args:
        model: a `T5ForConditionalGeneration`.
        tokenizer: see `TransformersPolicy`.
        max_prompt_tokens: see `TransformersPolicy`.
        share_prompts: whether rows with the same prompt share it.

    Raises:
        ValueError: the model is of another family, or its configuration names no start token.
    """

    prompt_padding = "right"
    continues_prompt = False
    context = None

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        max_prompt_tokens: int,
        share_prompts: bool = True,
    ) -> None:
        if not compat.is_t5(model):
            raise ValueError(
                f"model.path holds a {type(model).__name__}: expected a T5ForConditionalGeneration (T5, CodeT5, "
                "CodeT5+ 220M or 770M)"
            )
        if model.config.decoder_start_token_id is None:
            raise ValueError(
                "model.path holds a config.json without decoder_start_token_id: expected the id T5 starts with"
            )
        super().__init__(model, tokenizer, max_prompt_tokens)
        self.share_prompts = share_prompts
        if share_prompts:
            from rltf.policies import crossattention

            crossattention.share_prompts(model)
        self.start_id: int = model.config.decoder_start_token_id

    def encode_answer(self, text: str) -> tuple[int, ...]:
        """See `Policy.encode_answer`. CodeT5 draws `<s>` first, so its answers begin with it."""
        ids = encode_target(self.tokenizer, text)
        return ids if ids and ids[-1] == self.eos_id else (*ids, self.eos_id)

    def response_hidden(
        self, prompt_BS: Tensor, prompt_mask_BS: Tensor, response_BT: Tensor, mask_BT: Tensor
    ) -> Tensor:
        """See `TransformersPolicy.response_hidden`."""
        shared = distinct(prompt_BS, prompt_mask_BS) if self.share_prompts else None
        start_B1 = torch.full_like(response_BT[:, :1], self.start_id)
        read_BT = torch.cat([start_B1, response_BT[:, :-1]], dim=1)
        if shared is None:
            return self._decoded(read_BT, self._encoded(prompt_BS, prompt_mask_BS), prompt_mask_BS)
        # Rows of a prompt side by side, in groups of one size: keys and values are projected once a group.
        order_B = shared.row_B.argsort(stable=True)
        size = math.gcd(*shared.row_B.bincount().tolist())
        prompt_G = shared.row_B[order_B[::size]]
        states = self._encoded(shared.prompt_PS, shared.mask_PS).index_select(0, prompt_G)
        hidden_BTD = self._decoded(read_BT[order_B], states, shared.mask_PS[prompt_G])
        return hidden_BTD.index_select(0, order_B.argsort())

    def _encoded(self, prompt_PS: Tensor, mask_PS: Tensor) -> Tensor:
        """(P, S, D)."""
        return self.model.get_encoder()(input_ids=prompt_PS, attention_mask=mask_PS.long()).last_hidden_state

    def _decoded(self, read_BT: Tensor, states_GSD: Tensor, mask_GS: Tensor) -> Tensor:
        """hidden_BTD that the head reads; successive rows of one size read each of the G states."""
        hidden_BTD = self.model.get_decoder()(
            input_ids=read_BT,
            encoder_hidden_states=states_GSD,
            encoder_attention_mask=mask_GS.long(),
            use_cache=False,
        ).last_hidden_state
        return hidden_BTD * compat.t5_output_scale(self.model.config)
