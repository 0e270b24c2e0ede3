"""CodeT5+ 110M embedding: the encoder of a T5, and a text's vector from its state at the first token.

    vector = normalise(W state_0 + b)         768 -> 256, of length 1

As the body of another network (`reward.terms.grounding.discriminator.model`) it reads prompt and program as one text.
Its states see the whole text, later tokens included: fit for judging finished programs, not for predicting while they
are written.

Deviations from the hub's code:
1. A `</s>` inside a program is text and no special token.
2. As a body it gives the states of the program's tokens, before the projection, which then is not trained.

B texts, L tokens, D width."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import T5EncoderModel
from typing_extensions import override

from rltf.policies import locate
from rltf.policies.codet5p.weights import load_t5_type, load_tokenizer
from rltf.policies.pretrained import PromptForward, TransformersPolicy
from rltf.policies.text.encoding import encode_continuation
from rltf.types import Prompt
from rltf.validation import OptionError, require


class CodeT5pEmbeddingModel(T5EncoderModel):
    """The encoder with its projection, under the names of the hub's weights.

    Args:
        config: a `T5Config` with `embed_dim`.
    """

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.proj = nn.Linear(config.d_model, config.embed_dim)
        self.post_init()

    def get_output_embeddings(self) -> nn.Module:
        """The projection, which a network on the states leaves alone."""
        return self.proj


class Embedder(TransformersPolicy):
    """Embeds texts. It writes none, so it is a body and no policy that trains.

    Args:
        model: a `CodeT5pEmbeddingModel`.
        tokenizer: puts `<s> ... </s>` around a text.
        max_prompt_tokens: longest text, special tokens included.
    """

    model: CodeT5pEmbeddingModel
    prompt_padding = "right"
    continues_prompt = True
    context = None

    @override
    def encode_prompt(self, prompt: Prompt) -> tuple[int, ...]:
        # The program goes on in the same text.
        ids = super().encode_prompt(prompt)
        return ids[:-1] if len(ids) > 1 and ids[-1] == self.eos_id else ids

    @override
    def encode_answer(self, text: str) -> tuple[int, ...]:
        return (*encode_continuation(self.tokenizer, text), self.eos_id)

    def embed(self, texts: Sequence[str]) -> Tensor:
        """float32 vectors of length 1, (B, 256). Longer texts are cut to `max_prompt_tokens`."""
        encoded = self.tokenizer(
            list(texts),
            padding=True,
            truncation=True,
            max_length=self.max_prompt_tokens,
            split_special_tokens=True,
            return_tensors="pt",
        )
        ids, mask = encoded["input_ids"].to(self.model.device), encoded["attention_mask"].to(self.model.device)
        first_BD = self.model.encoder(input_ids=ids, attention_mask=mask).last_hidden_state[:, 0]
        return functional.normalize(self.model.proj(first_BD).float(), dim=-1)

    @override
    def hidden_states(
        self, prompt_BS: Tensor, prompt_mask_BS: Tensor, response_BT: Tensor, mask_BT: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The state of a token is that of the one before it, so that one more token than there is has read them all, as
        with other policies."""
        ids_BL = torch.cat([prompt_BS, response_BT[:, :-1]], 1)
        mask_BL = torch.cat([prompt_mask_BS, mask_BT[:, :-1]], 1)
        # A state after which nothing is drawn is not read: a row's last response token leaves the text.
        drawn_after_BT = torch.cat([mask_BT[:, 1:], torch.zeros_like(mask_BT[:, :1])], 1)
        mask_BL[:, prompt_BS.shape[1] :] &= drawn_after_BT[:, :-1]
        # Positions of a T5 are columns, so padding between prompt and response goes to the end.
        order_BL = mask_BL.logical_not().to(torch.int8).argsort(dim=1, stable=True)
        self.token_count.add(int(mask_BL.sum()), mask_BL.numel())
        hidden_BLD = self.model.encoder(
            input_ids=ids_BL.gather(1, order_BL), attention_mask=mask_BL.gather(1, order_BL).long()
        ).last_hidden_state
        token_N = mask_BT.flatten().nonzero()[:, 0]
        row_N, column_N = token_N // mask_BT.shape[1], token_N % mask_BT.shape[1]
        return hidden_BLD[row_N, prompt_mask_BS.sum(1)[row_N] - 1 + column_N], token_N

    @override
    def forward_prompts(self, prompt_BS: Tensor, prompt_mask_BS: Tensor, lengths: list[int]) -> PromptForward:
        raise OptionError("model", type(self.model).__name__, "a model that writes text, and this one embeds it")


def embedder(
    name: str, path: str | None = None, max_prompt_tokens: int = 512, dropout: float | None = None
) -> Embedder:
    """Loads the embedding model and its tokenizer.

    Args:
        name: hub id.
        path: local folder in the Hugging Face layout; it replaces the hub.
        max_prompt_tokens: longest text or prompt.
        dropout: of all layers while it is trained; None: what the weights were made with.

    Raises:
        ValueError: what is missing or does not fit, in one sentence with the key.
    """
    from rltf.policies.dropout import PhaseDropout

    require("dropout", dropout, at_least=0, below=1, optional=True)
    source = locate.find_weights(name, path)
    model = load_t5_type(CodeT5pEmbeddingModel, "CodeT5+ 110M embedding", source)
    policy = Embedder(model, load_tokenizer(source, model.config), max_prompt_tokens)
    policy.dropout = PhaseDropout(model, dropout)
    return policy
