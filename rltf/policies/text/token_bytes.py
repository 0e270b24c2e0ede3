"""Exact text and character ranges of tokens, by byte accounting.

Tokenizers decode a sequence as a whole, and clean up as they do: spaces vanish, a character split over two tokens turns
into two question marks, offsets do not exist. Here every token id has its bytes, looked up once; a response is the
bytes of its tokens in a row, and a token's characters follow from the number of bytes before it.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Collection
from itertools import accumulate, pairwise
from threading import local
from typing import TYPE_CHECKING

import numpy as np

from rltf.types import Span

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_SPACE_MARK = "\u2581"
"""How sentencepiece writes a space."""
_BYTE_TOKEN = re.compile(r"<0x([0-9A-F]{2})>")


class TokenBytes:
    """The bytes of every token of a tokenizer.

    Args:
        tokenizer: a byte-level BPE (CodeT5, GPT-2, CodeGen, Qwen, SmolLM2) or sentencepiece (T5, Llama) tokenizer, with
            or without byte fallback.
        end_ids: tokens that end a response; like special tokens, they have no bytes.

    Raises:
        ValueError: any other kind of tokenizer, whose tokens have no bytes of their own.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, end_ids: Collection[int] = ()) -> None:
        backend = getattr(tokenizer, "backend_tokenizer", None)
        if backend is None:
            raise ValueError(
                f"model.path holds a {type(tokenizer).__name__} without tokenizer.json: expected a fast tokenizer"
            )
        decoder = json.loads(backend.to_str())["decoder"]
        to_bytes = _byte_level if _mentions(decoder, "ByteLevel") else _sentencepiece
        if to_bytes is _sentencepiece and not (_mentions(decoder, "Metaspace") or _mentions(decoder, _SPACE_MARK)):
            raise ValueError(
                f"model.path holds a {type(tokenizer).__name__} that decodes with {decoder}: expected byte-level BPE "
                "or sentencepiece, whose tokens have exact bytes"
            )
        vocabulary = tokenizer.get_vocab()
        added = backend.get_added_tokens_decoder()
        special = set(tokenizer.all_special_ids) | {i for i, token in added.items() if token.special} | set(end_ids)
        self._bytes = [b""] * (max(vocabulary.values()) + 1)
        for token, i in vocabulary.items():
            if i not in special:
                self._bytes[i] = added[i].content.encode() if i in added else to_bytes(token)
        self.leading_space = self._leading_space(tokenizer)
        """Whether the tokenizer puts a space before the text it encodes (sentencepiece with a dummy prefix)."""

    def __getitem__(self, token_id: int) -> bytes:
        """Bytes of a token; none for special tokens and for rows of the embedding that no token uses."""
        return self._bytes[token_id] if token_id < len(self._bytes) else b""

    def decode(self, token_ids: tuple[int, ...], strip_leading_space: bool = False) -> tuple[str, tuple[Span, ...]]:
        """Text, and per token the half-open range of its characters. A character whose bytes are spread over several
        tokens lies in the range of each; special tokens have an empty range; invalid UTF-8 becomes U+FFFD.

        Args:
            token_ids: the tokens, in order.
            strip_leading_space: drop the one space that a sentencepiece tokenizer puts before a text.
        """
        table, size = self._bytes, len(self._bytes)
        pieces = [table[i] if i < size else b"" for i in token_ids]
        if strip_leading_space:
            first = next((n for n, piece in enumerate(pieces) if piece), None)
            if first is not None and pieces[first].startswith(b" "):
                pieces[first] = pieces[first][1:]
        text_bytes = b"".join(pieces)
        ranges = pairwise(accumulate(map(len, pieces), initial=0))
        if text_bytes.isascii():
            return text_bytes.decode("ascii"), tuple(ranges)
        text, character = _characters(text_bytes)
        return text, tuple(
            (character[start], character[end - 1] + 1) if end > start else (character[start], character[start])
            for start, end in ranges
        )

    def _leading_space(self, tokenizer: PreTrainedTokenizerBase) -> bool:
        return self.decode(tuple(tokenizer("a", add_special_tokens=False)["input_ids"]))[0] == " a"


class _InvalidRuns(local):
    """Runs of bytes that are no UTF-8, of the text that this thread decodes."""

    def __init__(self) -> None:
        self.runs: list[slice] = []

    def replace(self, error: UnicodeError) -> tuple[str, int]:
        assert isinstance(error, UnicodeDecodeError)
        self.runs.append(slice(error.start, error.end))
        return "\N{REPLACEMENT CHARACTER}", error.end


_INVALID = _InvalidRuns()
codecs.register_error("rltf.replace", lambda error: _INVALID.replace(error))


def _characters(text_bytes: bytes) -> tuple[str, list[int]]:
    """Text of the bytes (as `errors="replace"` gives it), and per byte, and one past the end, the index of the
    character it belongs to."""
    _INVALID.runs = []
    text = text_bytes.decode(errors="rltf.replace")
    begins = np.frombuffer(text_bytes + b"\0", dtype=np.uint8) & 0xC0 != 0x80
    for run in _INVALID.runs:
        begins[run] = False
        begins[run.start] = True
    return text, (np.cumsum(begins) - 1).tolist()


def _mentions(decoder: object, word: str) -> bool:
    return word in json.dumps(decoder, ensure_ascii=False)


def _byte_level(token: str) -> bytes:
    """Inverse of GPT-2's table, which writes every byte as a printable character."""
    return bytes(_BYTE_OF_CHARACTER[character] for character in token)


def _sentencepiece(token: str) -> bytes:
    byte = _BYTE_TOKEN.fullmatch(token)
    return bytes([int(byte[1], 16)]) if byte else token.replace(_SPACE_MARK, " ").encode()


def _byte_of_character() -> dict[str, int]:
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("\xa1"), ord("\xac") + 1), *range(ord("\xae"), 256)]
    unprintable = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + n): byte for n, byte in enumerate(unprintable)}


_BYTE_OF_CHARACTER = _byte_of_character()
