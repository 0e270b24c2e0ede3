"""CodeT5+ 2B and 6B under the names of the hub's weights, so that its folders load without its code.

The encoder is a CodeGen-350M that sees its whole text; the decoder a CodeGen whose last layer attends to the encoder.
It reads the start token, **then the prompt once more**, then what it has written.

B rows, P prompts, S prompt tokens, T decoder tokens, L of them with those of the cache, d width.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from transformers import AutoConfig, AutoModelForSeq2SeqLM, GenerationMixin, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput, Seq2SeqLMOutput

from rltf.policies.codet5p.config import CodeT5pConfig, CodeT5pModuleConfig
from rltf.policies.codet5p.layers import CodeT5pBlock, EncoderStates, in_type_of, positions_of, rotation_at


class CodeT5pStack(nn.Module):
    """Embedding, blocks and last norm, of the encoder or the decoder.

    Args:
        config: sizes.
        causal: the decoder, whose tokens see earlier ones alone, and whose last layer reads the encoder's states.
    """

    main_input_name = "input_ids"
    """transformers' `generate` asks an encoder for it."""

    def __init__(self, config: CodeT5pModuleConfig, causal: bool) -> None:
        super().__init__()
        self.config, self.causal = config, causal
        self.wte = nn.Embedding(config.vocab_size, config.n_embd)
        self.drop = nn.Dropout(config.embd_pdrop)
        self.rotary_dim: int = config.rotary_dim or config.n_embd // config.n_head
        last = config.n_layer - 1
        self.h = nn.ModuleList(CodeT5pBlock(config, i, causal and i == last) for i in range(config.n_layer))
        self.ln_f = nn.LayerNorm(config.n_embd, eps=config.layer_norm_epsilon)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        past_key_values: Any = None,
        encoder: EncoderStates | None = None,
        return_dict: bool = True,
        **_: Any,
    ) -> BaseModelOutput:
        """The last hidden states, as `last_hidden_state` (B, T, d).

        Args:
            input_ids: int64 (B, T).
            attention_mask: (B, L), true at real tokens, those of the cache first; None: all are.
            past_key_values: cache of the decoder's earlier tokens; its cross-attention's, too, in an
                `EncoderDecoderCache`.
            encoder: what the decoder's last layer reads.
            return_dict: accepted, as callers of transformers' encoders pass it.
        """
        cache = getattr(past_key_values, "self_attention_cache", past_key_values)
        cross_cache = getattr(past_key_values, "cross_attention_cache", None)
        tokens = input_ids.shape[1]
        length = tokens + (0 if cache is None else cache.get_seq_length())
        if attention_mask is None:
            attention_mask = torch.ones_like(input_ids[:1, :1]).expand(len(input_ids), length)
        position_BT = positions_of(attention_mask)[:, length - tokens :]
        rotation = rotation_at(position_BT, self.rotary_dim)
        mask = self._visible(attention_mask.bool(), tokens)
        hidden = self.drop(self.wte(input_ids))
        for block in self.h:
            hidden = block(hidden, rotation, mask, encoder, past_key_values=cache, cross_cache=cross_cache)
        return BaseModelOutput(last_hidden_state=self.ln_f(hidden))

    def get_input_embeddings(self) -> nn.Module:
        """The embedding, as transformers' models give it."""
        return self.wte

    def _visible(self, real_BL: Tensor, tokens: int) -> Tensor:
        """bool (B, 1, T or 1, L): which tokens each one sees. Padding sees itself, so that its softmax is not empty."""
        if not self.causal:
            return real_BL[:, None, None]
        column_L = torch.arange(real_BL.shape[1], device=real_BL.device)
        column_T1 = column_L[real_BL.shape[1] - tokens :, None]
        return ((real_BL[:, None] & (column_L <= column_T1)) | (column_L == column_T1))[:, None]


class CodeT5pDecoderModel(nn.Module):
    """The decoder with its head, which is not tied and has a bias.

    Args:
        config: sizes.
    """

    def __init__(self, config: CodeT5pModuleConfig) -> None:
        super().__init__()
        self.transformer = CodeT5pStack(config, causal=True)
        self.lm_head = nn.Linear(config.n_embd, config.vocab_size)


class CodeT5pEncoderDecoderModel(PreTrainedModel, GenerationMixin):
    """The whole model.

    Args:
        config: of both parts.
    """

    config_class = CodeT5pConfig
    main_input_name = "input_ids"
    supports_gradient_checkpointing = True
    _no_split_modules: ClassVar[Any] = ["CodeT5pBlock"]
    _keys_to_ignore_on_load_unexpected: ClassVar[Any] = [r"\.causal_mask$"]
    decoder_reads_prompt = True
    """Whether the decoder reads the prompt, too (`rltf.policies.compat.decoder_prompt`)."""

    def __init__(self, config: CodeT5pConfig) -> None:
        super().__init__(config)
        self.encoder = CodeT5pStack(config.encoder, causal=False)
        self.decoder = CodeT5pDecoderModel(config.decoder)
        if config.encoder.n_embd != config.decoder.n_embd:
            self.enc_to_dec_proj = nn.Linear(config.encoder.n_embd, config.decoder.n_embd)
        self.post_init()

    def get_encoder(self, *_: Any, **__: Any) -> nn.Module:
        """The encoder, whose states `encoder_states` widens."""
        return self.encoder

    def get_input_embeddings(self) -> nn.Module:
        """The encoder's; the decoder has its own."""
        return self.encoder.wte

    def get_output_embeddings(self) -> nn.Module:
        """The decoder's head."""
        return self.decoder.lm_head

    def encoder_states(self, prompt_PS: Tensor, mask_PS: Tensor | None, index_B: Tensor | None = None) -> EncoderStates:
        """What the decoder reads of prompts.

        Args:
            prompt_PS: int64 token ids.
            mask_PS: true at real tokens; None: all are.
            index_B: int64, each row's prompt; None: row i has prompt i.
        """
        return self._widened(self.encoder(prompt_PS, mask_PS).last_hidden_state, mask_PS, index_B)

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        decoder_input_ids: Tensor | None = None,
        decoder_attention_mask: Tensor | None = None,
        encoder_outputs: Any = None,
        past_key_values: Any = None,
        use_cache: bool | None = None,
        labels: Tensor | None = None,
        **_: Any,
    ) -> Seq2SeqLMOutput:
        """Logits (B, T, V) of the tokens after `decoder_input_ids`.

        Args:
            input_ids: int64 (B, S), for the encoder.
            attention_mask: (B, S), true at real tokens.
            decoder_input_ids: int64 (B, T): start token, prompt and response, or what follows the cache.
            decoder_attention_mask: (B, L).
            encoder_outputs: of the encoder, in place of `input_ids`.
            past_key_values: an `EncoderDecoderCache`, or a cache of the decoder's self-attention.
            use_cache: accepted; a cache that is given is used.
            labels: int64 (B, T), -100 where there is no loss; without `decoder_input_ids` the decoder reads them, too,
                behind the start token.
        """
        if decoder_input_ids is None and labels is not None:
            start_B1 = torch.full_like(labels[:, :1], self.config.decoder_start_token_id)
            decoder_input_ids = torch.cat([start_B1, labels[:, :-1].clamp(min=0)], 1)
        if encoder_outputs is None:
            encoder_outputs = self.encoder(input_ids, attention_mask)
        cross_cache = getattr(past_key_values, "cross_attention_cache", None)
        if cross_cache is not None and cross_cache.get_seq_length():
            encoder = EncoderStates(encoder_outputs[0], attention_mask)  # the cache is read in place of the states
        else:
            encoder = self._widened(encoder_outputs[0], attention_mask)
        hidden = self.decoder.transformer(
            decoder_input_ids, decoder_attention_mask, past_key_values, encoder
        ).last_hidden_state
        logits = self.decoder.lm_head(hidden)
        return Seq2SeqLMOutput(
            loss=None if labels is None else cross_entropy(logits.float().flatten(0, 1), labels.flatten()),
            logits=logits,
            past_key_values=past_key_values,
            encoder_last_hidden_state=encoder_outputs[0],
        )

    def _widened(self, states_PSd: Tensor, mask_PS: Tensor | None, index_B: Tensor | None = None) -> EncoderStates:
        if hasattr(self, "enc_to_dec_proj"):
            states_PSd = self.enc_to_dec_proj(in_type_of(self.enc_to_dec_proj, states_PSd))
        return EncoderStates(states_PSd, mask_PS, index_B)


@contextmanager
def kept_in_float32(modules: Collection[str]) -> Iterator[None]:
    """Inside, models are loaded with the weights of these modules in float32, whatever the type of the others."""
    CodeT5pEncoderDecoderModel._keep_in_fp32_modules_strict = sorted(modules)
    try:
        yield
    finally:
        CodeT5pEncoderDecoderModel._keep_in_fp32_modules_strict = None


def register() -> None:
    """Makes transformers' Auto classes load hub folders of this family with the classes here."""
    AutoConfig.register(CodeT5pConfig.model_type, CodeT5pConfig, exist_ok=True)
    AutoModelForSeq2SeqLM.register(CodeT5pConfig, CodeT5pEncoderDecoderModel, exist_ok=True)
