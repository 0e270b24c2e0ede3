"""CodeT5+ 220M bimodal: how well a program matches a text (`eval_match_retrieval.py` of salesforce/CodeT5).

    score = match logit + similarity
    similarity: product of the unit vectors of text and code, as the embedding model makes them
    match logit: of a head with two classes (no match, match) on the decoder's state at the last `</s>`; the decoder
                 reads the code, `[ENC]` in place of `<s>`, and attends to the text's encoder states

Deviations from that script:
1. Texts and programs are cut at 512 tokens; 64 and 360 there are for docstrings and functions of CodeSearchNet.
2. A `</s>` inside a program is text, so each has one end.
3. Every program gets both parts of the score; there only those that are most similar get the match logit.

P programs, S text tokens, T code tokens, D width."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import T5ForConditionalGeneration

from rltf.policies import locate
from rltf.policies.codet5p.weights import load_t5_type, load_tokenizer
from rltf.validation import require

MATCH_TOKEN = "[ENC]"


class CodeT5pMatchingModel(T5ForConditionalGeneration):
    """The T5 with its projection and the head that matches, under the names of the hub's weights.

    Args:
        config: a `T5Config` with `embed_dim`.
    """

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.proj = nn.Linear(config.d_model, config.embed_dim)
        self.itm_head = nn.Linear(config.d_model, 2)
        self.post_init()


class Matcher:
    """Scores programs by how well they match the text of a problem.

    Args:
        name: hub id.
        path: local folder in the Hugging Face layout; it replaces the hub.
        max_text_tokens: longest text, special tokens included; the rest is cut off.
        max_code_tokens: longest program.
        batch_size: programs in one pass.

    Raises:
        ValueError: what is missing or does not fit, in one sentence with the key.
    """

    def __init__(
        self,
        name: str = "Salesforce/codet5p-220m-bimodal",
        path: str | None = None,
        max_text_tokens: int = 512,
        max_code_tokens: int = 512,
        batch_size: int = 16,
    ) -> None:
        require("max_text_tokens", max_text_tokens, at_least=3, whole=True)
        require("max_code_tokens", max_code_tokens, at_least=3, whole=True)
        require("batch_size", batch_size, at_least=1, whole=True)
        self._max_text_tokens, self._max_code_tokens = max_text_tokens, max_code_tokens
        self._batch_size = batch_size
        try:
            source = locate.find_weights(name, path)
            self.model = load_t5_type(CodeT5pMatchingModel, "CodeT5+ 220M bimodal", source)
            self.tokenizer = load_tokenizer(source, self.model.config)
        except ValueError as error:
            raise ValueError(str(error).replace("model.path", "inference.matcher.path")) from None
        self._match_id = self.tokenizer.convert_tokens_to_ids(MATCH_TOKEN)
        if self._match_id in (None, self.tokenizer.unk_token_id):
            raise ValueError(
                f"inference.matcher.path: the tokenizer of {path or name} has no {MATCH_TOKEN}: expected that of "
                "CodeT5+ 220M bimodal"
            )

    @torch.no_grad()
    def scores(self, text: str, programs: Sequence[str]) -> list[float]:
        """The score of each program; higher matches better.

        Args:
            text: what the programs are to do.
            programs: their source.
        """
        distinct = sorted(set(programs), key=len)
        text_1S, text_mask_1S = self._encode([text], self._max_text_tokens)
        text_1SD = self.model.encoder(input_ids=text_1S, attention_mask=text_mask_1S).last_hidden_state
        score_of: dict[str, float] = {}
        for start in range(0, len(distinct), self._batch_size):
            chunk = distinct[start : start + self._batch_size]
            code_PT, mask_PT = self._encode(chunk, self._max_code_tokens)
            code_PTD = self.model.encoder(input_ids=code_PT, attention_mask=mask_PT).last_hidden_state
            similarity_P = (self._vectors(code_PTD) * self._vectors(text_1SD)).sum(-1)
            logit_P = self._match_logits(code_PT, mask_PT, text_1SD, text_mask_1S)
            score_of |= zip(chunk, (logit_P + similarity_P).tolist(), strict=True)
        return [score_of[program] for program in programs]

    def _match_logits(self, code_PT: Tensor, mask_PT: Tensor, text_1SD: Tensor, text_mask_1S: Tensor) -> Tensor:
        read_PT = code_PT.clone()
        read_PT[:, 0] = self._match_id
        state_PTD = self.model.decoder(
            input_ids=read_PT,
            attention_mask=mask_PT,
            encoder_hidden_states=text_1SD.expand(len(code_PT), -1, -1),
            encoder_attention_mask=text_mask_1S.expand(len(code_PT), -1),
            use_cache=False,
        ).last_hidden_state
        at_end_PD = state_PTD[torch.arange(len(code_PT)), mask_PT.sum(1) - 1]
        logit_P: Tensor = self.model.itm_head(at_end_PD)[:, 1]
        return logit_P

    def _vectors(self, state_PTD: Tensor) -> Tensor:
        return functional.normalize(self.model.proj(state_PTD[:, 0]), dim=-1)

    def _encode(self, texts: list[str], max_tokens: int) -> tuple[Tensor, Tensor]:
        encoded = self.tokenizer(
            texts,
            padding=True,
            truncation=True,
            max_length=max_tokens,
            split_special_tokens=True,
            padding_side="right",
            return_tensors="pt",
        )
        device = self.model.device
        return encoded["input_ids"].to(device), encoded["attention_mask"].to(device)
