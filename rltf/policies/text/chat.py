"""Token ids of chat prompts: the tokenizer's template writes the turns, and its markers are control tokens.

The same strings inside a problem are text. A statement that holds `<|im_end|>` would otherwise close its turn and
speak for the assistant. Control tokens are the special ones, and those added to the vocabulary that the template
writes by itself. Inside the problem they are replaced by the tokens of their characters; all others are as the
tokenizer gives them for the whole text, at the seams between turns and problem, too.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from rltf.types import Prompt
from rltf.validation import sentence_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_PLACEHOLDER = "the-user-says-this"
"""In the user's place in a chat without the problem, which shows what the template writes by itself."""
_RESERVED = ("conversation", "messages", "tokenize", "add_generation_prompt", "chat_template", "return_dict", "tools")
"""Keywords of `apply_chat_template` that a prompt cannot set."""


def encode_chat(
    tokenizer: PreTrainedTokenizerBase, prompt: Prompt, encode_text: Callable[[str], tuple[int, ...]]
) -> tuple[int, ...]:
    """Token ids of a chat prompt and the start of its answer.

    Args:
        tokenizer: has a chat template.
        prompt: a chat prompt.
        encode_text: text in the middle of another text -> its tokens, none of them special.

    Raises:
        ValueError: the tokenizer has no chat template, or its template does not take the prompt.
    """
    request = prompt.head + prompt.question + prompt.tail
    chat = _render(tokenizer, prompt, request)
    encoded = tokenizer(chat + prompt.answer, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    ids, offsets = encoded["input_ids"], encoded["offset_mapping"]
    added = {i: token for i, token in tokenizer.added_tokens_decoder.items() if token.content.strip()}
    if not any(token.content in request for token in added.values()):
        return tuple(ids)
    head, _, tail = _render(tokenizer, prompt, _PLACEHOLDER).partition(_PLACEHOLDER)
    control = {i for i, token in added.items() if token.special or token.content in head + tail}
    if not (chat.startswith(head) and chat.endswith(tail)):
        raise ValueError(
            "benchmark.prompt is chat, and a problem holds a marker of the chat template of model.path, which changes "
            f"what the user says, so that it is not clear whose marker it is ({prompt.question[:80]!r}): expected doc "
            "or paper"
        )
    start, end = len(head), len(chat) - len(tail)
    text: list[int] = []
    for token, (first, last) in zip(ids, offsets, strict=True):
        inside = token in control and first < end and last > start
        text += _marker_as_text(chat[first:last], control, encode_text) if inside else [token]
    return tuple(text)


def _render(tokenizer: PreTrainedTokenizerBase, prompt: Prompt, request: str) -> str:
    """The chat as text, the assistant's turn opened."""
    template = tokenizer.chat_template
    if template is None:
        raise ValueError(
            "benchmark.prompt is chat, but the tokenizer of model.path has no chat template: expected doc or paper"
        )
    for name in prompt.template:
        if name in _RESERVED or not re.search(rf"\b{re.escape(str(name))}\b", str(template)):
            raise ValueError(
                f"benchmark.chat.template names {name}, which the chat template of model.path does not read: expected "
                "one of its own variables"
            )
    turns = [{"role": "user", "content": request}]
    if prompt.system is not None:
        turns.insert(0, {"role": "system", "content": prompt.system})
    try:
        chat: str = tokenizer.apply_chat_template(
            turns, tokenize=False, add_generation_prompt=True, **dict(prompt.template)
        )
    except Exception as error:  # a template is a program of others, and may raise anything
        raise ValueError(
            f"benchmark.prompt is chat, and the chat template of model.path refuses the prompt ({sentence_of(error)}): "
            "benchmark.chat.system gives it a system turn or takes it away, benchmark.chat.template its keywords, and "
            "doc or paper need no template"
        ) from error
    if prompt.system is not None and prompt.system.strip() not in chat:
        raise ValueError(
            "benchmark.chat.system is set, and the chat template of model.path leaves the system turn out: expected "
            "null"
        )
    return chat


def _marker_as_text(marker: str, control: set[int], encode_text: Callable[[str], tuple[int, ...]]) -> list[int]:
    """Tokens of a marker's characters. Added tokens that are not special are found wherever they stand, so their string
    is encoded in two parts."""
    ids = encode_text(marker)
    if control.isdisjoint(ids):
        return list(ids)
    middle = len(marker) // 2
    return [*encode_text(marker[:middle]), *encode_text(marker[middle:])]
