"""Encoder-decoder policies that are no T5: LongT5, BART, PLBART, Pegasus, T5Gemma. B rows, P distinct prompts, R rows
that are decoded together, S prompt tokens, T response tokens, D width."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from typing_extensions import override

from rltf.policies import compat
from rltf.policies.context import context_of
from rltf.policies.forward.shared_prompts import prompts_to_rows, prompts_to_run
from rltf.policies.head import logit_scaling
from rltf.policies.pretrained import PromptForward, TransformersPolicy
from rltf.policies.text.encoding import encode_target
from rltf.validation import OptionError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

MODEL_TYPES = ("longt5", "bart", "plbart", "pegasus", "t5gemma")
"""`model_type` of the families that tests hold to transformers' `generate`."""


class EncoderDecoderPolicy(TransformersPolicy):
    """A model of `MODEL_TYPES`, in transformers' own forward pass.

    The prompt goes to the encoder, with `Prompt.answer` at its end; the decoder reads its start tokens, the first one
    that `generate` forces among them, and then the response. Rows with the same prompt share one run of the encoder.

    Args:
        model: with its language-model head.
        tokenizer, max_prompt_tokens: see `TransformersPolicy`.
        share_prompts: whether rows with the same prompt share its run.

    Raises:
        ValueError: the model is of another family, names no start token, or has not as many positions as a prompt can
            have tokens.
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
        if model.config.model_type not in MODEL_TYPES:
            raise ValueError(
                f"model.path holds a {type(model).__name__}: expected a T5 type, LongT5, BART, "
                "PLBART, Pegasus or T5Gemma"
            )
        super().__init__(model, tokenizer, max_prompt_tokens)
        self.start_ids = compat.decoder_start(model)
        if not self.start_ids:
            raise ValueError(
                "model.path holds a config.json without decoder_start_token_id and bos_token_id: expected the id that "
                "the decoder starts with"
            )
        self.share_prompts = share_prompts
        self.logit_scaling = logit_scaling(model)
        positions, decoder_positions = (context_of(s.config) for s in (model.get_encoder(), model.get_decoder()))
        if decoder_positions is not None:  # the last token of a response takes none, and the start tokens do
            self.response_limit = decoder_positions - len(self.start_ids) + 1
        if positions is not None and max_prompt_tokens > positions:
            raise OptionError(
                "max_prompt_tokens", max_prompt_tokens, f"at most {positions}, the positions of the model's encoder"
            )

    @override
    def encode_answer(self, text: str) -> tuple[int, ...]:
        # BART's tokenizers put `<s>` before a text, which the decoder draws, or reads where `generate` forces it;
        # PLBART's put a language behind the end.
        ids = encode_target(self.tokenizer, text)
        if ids[:1] == self.start_ids[1:]:
            ids = ids[1:]
        end = ids.index(self.eos_id) if self.eos_id in ids else len(ids)
        return (*ids[:end], self.eos_id)

    @override
    def forward_prompts(self, prompt_BS: Tensor, prompt_mask_BS: Tensor, lengths: list[int]) -> PromptForward:
        """Runs the encoder."""
        prompts = prompts_to_run(prompt_BS, prompt_mask_BS, self.share_prompts)
        self.token_count.add(int(prompts.mask_PS.sum()), prompts.mask_PS.numel())
        encoder = self.model.get_encoder()
        states_PSD = encoder(input_ids=prompts.prompt_PS, attention_mask=prompts.mask_PS.long()).last_hidden_state

        def response_hidden(row_R: Tensor, response_RT: Tensor, mask_RT: Tensor) -> Tensor:
            to_rows = prompts_to_rows(len(states_PSD), prompts.prompt_index_B[row_R])
            start_S = torch.tensor(self.start_ids, device=response_RT.device)
            input_RT = torch.cat([start_S.expand(len(row_R), -1), response_RT[:, :-1]], dim=1)
            hidden_RTD = self.model.get_decoder()(
                input_ids=input_RT,
                attention_mask=torch.ones_like(input_RT),  # padding comes last; T5Gemma would leave out pad tokens
                encoder_hidden_states=to_rows(states_PSD),
                encoder_attention_mask=to_rows(prompts.mask_PS).long(),
                use_cache=False,
            ).last_hidden_state
            return hidden_RTD[:, len(self.start_ids) - 1 :]

        return PromptForward(response_hidden)
