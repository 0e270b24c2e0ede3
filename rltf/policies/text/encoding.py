"""Token ids of prompts and answers. Text is encoded as one piece, so that tokens at the seams are those the model has
seen; when a prompt is too long only its `question` is shortened.

Strings such as `</s>` inside a problem or a program are text, never special tokens (in chat prompts, too:
`rltf.policies.text.chat`).
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from rltf.policies.text.chat import encode_chat
from rltf.types import Prompt

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_ANCHOR = "\n"
"""Stands before an answer while it is encoded, in place of the prompt, so that no dummy space is put before it."""


def encode_prompt(tokenizer: PreTrainedTokenizerBase, prompt: Prompt, max_tokens: int) -> tuple[int, ...]:
    """Token ids of the prompt and the start of its answer, at most `max_tokens`.

    Raises:
        ValueError: the prompt is too long even without its question, or is a chat prompt that the tokenizer's chat
            template does not take.
    """
    ids = _encode_whole(tokenizer, prompt)
    if len(ids) <= max_tokens:
        return ids
    fixed_tokens = len(_encode_whole(tokenizer, replace(prompt, question="")))
    if fixed_tokens > max_tokens:
        raise ValueError(
            f"model.max_prompt_tokens is {max_tokens}, but a prompt of this benchmark takes {fixed_tokens} "
            "tokens without its question: expected room for the question"
        )
    question = tokenizer(
        prompt.question,
        add_special_tokens=False,
        split_special_tokens=True,
        return_offsets_mapping=True,
        verbose=False,
    )
    starts = [start for start, _ in question["offset_mapping"]]
    question_tokens = len(starts) - (len(ids) - max_tokens)
    while len(ids) > max_tokens:
        question_tokens = max(0, question_tokens)
        ids = _encode_whole(tokenizer, replace(prompt, question=prompt.question[: starts[question_tokens]]))
        question_tokens -= max(1, len(ids) - max_tokens)
    return ids


def encode_continuation(tokenizer: PreTrainedTokenizerBase, text: str) -> tuple[int, ...]:
    """Token ids of an answer that continues a prompt (causal models): no special tokens, and none of the dummy space
    that sentencepiece puts before a text."""
    anchor = _encode(tokenizer, _ANCHOR, add_special_tokens=False)
    anchored = _encode(tokenizer, _ANCHOR + text, add_special_tokens=False)
    # Byte-level BPE has no dummy space, but may merge the anchor with white space that follows.
    if anchored[: len(anchor)] == anchor:
        return anchored[len(anchor) :]
    return _encode(tokenizer, text, add_special_tokens=False)


def encode_target(tokenizer: PreTrainedTokenizerBase, text: str) -> tuple[int, ...]:
    """Token ids of an answer that a decoder starts afresh (encoder-decoders), with the special tokens the tokenizer
    adds: CodeT5 was trained on `<s> ... </s>`, so it draws `<s>` first, and so do demonstrations."""
    return _encode(tokenizer, text, add_special_tokens=True)


def _encode_whole(tokenizer: PreTrainedTokenizerBase, prompt: Prompt) -> tuple[int, ...]:
    if prompt.chat:
        return encode_chat(tokenizer, prompt, partial(encode_continuation, tokenizer))
    return _encode(tokenizer, prompt.head + prompt.question + prompt.tail + prompt.answer, add_special_tokens=True)


def _encode(tokenizer: PreTrainedTokenizerBase, text: str, add_special_tokens: bool) -> tuple[int, ...]:
    encoded = tokenizer(text, add_special_tokens=add_special_tokens, split_special_tokens=True, verbose=False)
    return tuple(encoded["input_ids"])
