"""T5's encoder with learned vectors in place of ids beyond the vocabulary (`rltf.policies.prompt_pool`).

B prompts, S tokens, K of them learned, D width.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from transformers.models.t5.modeling_t5 import T5Stack

from rltf.policies import compat
from rltf.policies.prompt_pool import PromptPool  # transformers evaluates the annotation below

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class PromptedEncoder(T5Stack):
    """T5's encoder; the first K ids of a prompt may lie beyond the vocabulary, by the code of its vectors."""

    learned_prompts: tuple[PromptPool, ...]
    """One: in a tuple, since it is the policy's submodule and not the model's."""

    def forward(self, input_ids: Tensor | None = None, attention_mask: Tensor | None = None, **options: Any) -> Any:
        """As `T5Stack.forward`; rows either all begin with learned vectors or none does."""
        words = self.embed_tokens.num_embeddings
        if input_ids is None or not bool((input_ids[:, 0] >= words).all()):
            return super().forward(input_ids=input_ids, attention_mask=attention_mask, **options)
        options.pop("inputs_embeds", None)  # None, from the whole model's forward
        pool = self.learned_prompts[0]
        places = pool.options.places
        code_B, word_BS = input_ids[:, 0] - words, input_ids[:, places:]
        mask_BS = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        query_BD = prompt_queries(self, word_BS, mask_BS[:, places:])
        embeds_BSD = self.embed_tokens(word_BS)
        vectors_BKD = pool(code_B, query_BD).to(embeds_BSD.dtype)
        embeds_BSD = torch.cat([vectors_BKD, embeds_BSD], dim=1)
        return super().forward(inputs_embeds=embeds_BSD, attention_mask=mask_BS, **options)


@torch.no_grad()
def prompt_queries(encoder: T5Stack, word_BS: Tensor, mask_BS: Tensor) -> Tensor:
    """Means of the encoder's states over real tokens, (B, D): without dropout, and without learned vectors."""
    training = encoder.training
    encoder.eval()
    try:
        states_BSD = T5Stack.forward(encoder, input_ids=word_BS, attention_mask=mask_BS).last_hidden_state
    finally:
        encoder.train(training)
    real_BS1 = mask_BS[:, :, None].to(states_BSD.dtype)
    return ((states_BSD * real_BS1).sum(1) / real_BS1.sum(1)).float()


def prompt_with(model: PreTrainedModel, pool: PromptPool) -> None:
    """Makes the encoder of a T5 read learned vectors."""
    encoder = model.get_encoder()
    compat.replace_forward(encoder, PromptedEncoder)
    encoder.learned_prompts = (pool,)
