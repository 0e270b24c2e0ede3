"""The policy of CodeT5+ 2B and 6B: the encoder reads the prompt, and so does the decoder before it goes on with the
response. B rows, P distinct prompts, R rows that are decoded together, S prompt tokens, T response tokens, D width.

The paper (section 3.3) and its scripts tune the model so: decoder input `[start] prompt response`, loss on the response
alone. Rows of one prompt share its run through both parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from typing_extensions import override

from rltf.policies.causal import MIN_SAVED_SHARE
from rltf.policies.codet5p.model import CodeT5pEncoderDecoderModel
from rltf.policies.forward import prefix_cache
from rltf.policies.forward.shared_prompts import SharedPrompts, prompts_to_rows, prompts_to_run
from rltf.policies.pretrained import PromptForward, TransformersPolicy
from rltf.policies.text.encoding import encode_continuation
from rltf.types import Prompt
from rltf.validation import OptionError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


class CodeT5PlusPolicy(TransformersPolicy):
    """A CodeT5+ 2B or 6B. Prompts are padded on the right, as the encoder's relatives are.

    Args:
        model: a `CodeT5pEncoderDecoderModel`.
        tokenizer, max_prompt_tokens: see `TransformersPolicy`.
        share_prompts: whether rows with the same prompt share it.

    Raises:
        ValueError: the model is of another family, or the prompt alone would fill its context.
    """

    model: CodeT5pEncoderDecoderModel
    prompt_padding = "right"
    continues_prompt = True
    context: int

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        max_prompt_tokens: int,
        share_prompts: bool = True,
    ) -> None:
        if not isinstance(model, CodeT5pEncoderDecoderModel):
            raise ValueError(f"model.path holds a {type(model).__name__}: expected a CodeT5+ 2B or 6B")
        super().__init__(model, tokenizer, max_prompt_tokens)
        self.share_prompts = share_prompts
        self.start_id: int = model.config.decoder_start_token_id
        self.context = model.config.max_position_embeddings
        if max_prompt_tokens >= self.context:
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
        """Runs the encoder, and where rows share prompts the decoder over them; otherwise each prompt runs with its
        response."""
        prompts = prompts_to_run(prompt_BS, prompt_mask_BS, self.share_prompts)
        states = self.model.encoder_states(prompts.prompt_PS, prompts.mask_PS)
        self.token_count.add(int(prompts.mask_PS.sum()), prompts.mask_PS.numel())
        input_PS, mask_PS = self._decoder_prompts(prompts)
        saved = (len(prompt_BS) - len(prompts.prompt_PS)) * input_PS.shape[1]
        decoder = self.model.decoder.transformer
        shares = saved >= MIN_SAVED_SHARE * (len(prompt_BS) * input_PS.shape[1] + sum(lengths)) and saved > 0
        # transformers' helpers want a model and look at its configuration and its layers, which the decoder has.
        if not (shares and prefix_cache.can_read_prefixes(decoder)):
            self.token_count.add(int(prompt_mask_BS.sum()), prompt_mask_BS.numel())

            def unshared_hidden(row_R: Tensor, response_RT: Tensor, mask_RT: Tensor) -> Tensor:
                index_R = prompts.prompt_index_B[row_R]
                hidden_RLD = decoder(
                    torch.cat([input_PS[index_R], response_RT[:, :-1]], 1),
                    torch.cat([mask_PS[index_R], mask_RT[:, :-1]], 1),
                    encoder=states._replace(prompt_index_B=index_R),
                ).last_hidden_state
                later_RTD = hidden_RLD[:, input_PS.shape[1] :]
                return torch.cat([_last_real(hidden_RLD, mask_PS[index_R]), later_RTD], 1)

            return PromptForward(unshared_hidden)
        self.token_count.add(int(mask_PS.sum()), mask_PS.numel())
        cache = prefix_cache.recording_cache(decoder)
        last_P1D = _last_real(decoder(input_PS, mask_PS, cache, encoder=states).last_hidden_state, mask_PS)

        def response_hidden(row_R: Tensor, response_RT: Tensor, mask_RT: Tensor) -> Tensor:
            index_R = prompts.prompt_index_B[row_R]
            to_rows = prompts_to_rows(len(last_P1D), index_R)
            first_R1D = to_rows(last_P1D)
            if response_RT.shape[1] == 1:
                return first_R1D
            later_RTD = decoder(
                response_RT[:, :-1],
                torch.cat([to_rows(mask_PS), mask_RT[:, :-1]], 1),
                prefix_cache.prefix_cache(cache, to_rows),
                encoder=states._replace(prompt_index_B=index_R),
            ).last_hidden_state
            return torch.cat([first_R1D, later_RTD], 1)

        return PromptForward(response_hidden)

    def _decoder_prompts(self, prompts: SharedPrompts) -> tuple[Tensor, Tensor]:
        """What the decoder reads of each prompt, the start token first, and its mask: (P, 1 + S) each."""
        start_P1 = torch.full_like(prompts.prompt_PS[:, :1], self.start_id)
        input_PS = torch.cat([start_P1, prompts.prompt_PS], 1)
        return input_PS, torch.cat([torch.ones_like(prompts.mask_PS[:, :1]), prompts.mask_PS], 1)


def _last_real(hidden_RLD: Tensor, mask_RS: Tensor) -> Tensor:
    """The state at the last real token of each prompt, (R, 1, D); prompts come first in a row, padded on the right."""
    last_R = mask_RS.sum(1) - 1
    return hidden_RLD.take_along_dim(last_R[:, None, None], 1)
