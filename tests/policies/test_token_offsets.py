"""Text and character ranges of tokens: exact for every kind of tokenizer."""

from __future__ import annotations

import json
import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from policy_kinds import TOKENIZERS, codegen_type, llama_type, roberta_type, t5_type
from tokenizers import Tokenizer, decoders, models
from transformers import PreTrainedTokenizerFast

from rltf.policies.text.token_bytes import TokenBytes

KINDS = {kind: (tokenizer := build(), TokenBytes(tokenizer)) for kind, build in TOKENIZERS.items()}
BYTE_LEVEL = ("roberta", "codegen", "tiny")
ANY_TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=40) | st.sampled_from(
    [
        "    x\t\t= 1\n\n\n",
        " leading",
        "trailing  ",
        "\U0001f642\u00e9\n",
        "</s><pad>",
        "a  ,b .",
        "don 't",
        "\r\n",
        "\x00",
    ]
)


@pytest.mark.parametrize("kind", [*BYTE_LEVEL, "llama"])
@given(text=ANY_TEXT)
@settings(max_examples=60, deadline=None)
def test_any_text_survives_a_round_trip(kind: str, text: str):
    tokenizer, table = KINDS[kind]
    ids = tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    if kind == "llama" and not text:
        return
    assert table.decode(tuple(ids), strip_leading_space=table.leading_space)[0] == text


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_ranges_of_any_tokens_are_ordered_and_cover_the_text(kind: str, data: st.DataObject):
    _, table = KINDS[kind]
    ids = data.draw(st.lists(st.integers(0, len(table._bytes) + 3), max_size=30))
    text, offsets = table.decode(tuple(ids))
    assert len(offsets) == len(ids)
    assert [start for start, _ in offsets] == sorted(start for start, _ in offsets)
    covered = {n for start, end in offsets for n in range(start, end)}
    assert covered == set(range(len(text)))
    for token, (start, end) in zip(ids, offsets, strict=True):
        assert (end > start) == bool(table[token])


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_decoding_is_the_replacing_utf8_decoding_of_the_bytes(kind: str, data: st.DataObject):
    _, table = KINDS[kind]
    ids = data.draw(st.lists(st.integers(0, len(table._bytes) - 1), max_size=30))
    assert table.decode(tuple(ids))[0] == b"".join(table[i] for i in ids).decode(errors="replace")


@given(raw=st.binary(max_size=12))
def test_any_bytes_decode_as_python_replaces_them(raw: bytes):
    tokenizer, table = KINDS["llama"]
    ids = tuple(tokenizer.convert_tokens_to_ids([f"<0x{byte:02X}>" for byte in raw]))
    text, offsets = table.decode(ids)
    assert text == raw.decode(errors="replace")
    assert all(end == start + 1 for start, end in offsets)  # one byte lies in exactly one character


@pytest.mark.parametrize("kind", BYTE_LEVEL)
@given(ids=st.lists(st.integers(5, 250), max_size=25))
@settings(max_examples=60, deadline=None)
def test_byte_level_text_equals_what_the_tokenizer_decodes_without_cleaning(kind: str, ids: list[int]):
    tokenizer, table = KINDS[kind]
    expected = tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    assert table.decode(tuple(ids))[0] == expected


def test_a_character_split_over_tokens_lies_in_the_range_of_each():
    table = TokenBytes(llama_type())
    ids = tuple(3 + byte for byte in "a\U0001f642b".encode())  # <0x00> is token 3
    assert table.decode(ids) == ("a\U0001f642b", ((0, 1), (1, 2), (1, 2), (1, 2), (1, 2), (2, 3)))


def test_a_character_cut_short_becomes_one_replacement_character():
    table = TokenBytes(llama_type())
    smile = "\U0001f642".encode()
    ids = tuple(3 + byte for byte in smile[:3] + b"x")
    assert table.decode(ids) == ("\ufffdx", ((0, 1), (0, 1), (0, 1), (1, 2)))


def test_special_tokens_have_an_empty_range_and_no_text():
    tokenizer = roberta_type()
    ids = (1, *tokenizer("ab", add_special_tokens=False)["input_ids"], 330, 2)  # 330 = <extra_id_0>
    text, offsets = TokenBytes(tokenizer).decode(ids)
    assert text == "ab"
    assert offsets[0] == (0, 0)
    assert offsets[-2:] == ((2, 2), (2, 2))


def test_runs_of_spaces_that_codegen_adds_keep_every_space():
    tokenizer = codegen_type()
    text = "if x:\n" + " " * 31 + "y\n\t\t\t\tz"
    ids = tuple(tokenizer(text)["input_ids"])
    tokens = tokenizer.convert_ids_to_tokens(ids)
    assert " " * 31 in tokens
    assert "\t" * 4 in tokens
    decoded, offsets = TokenBytes(tokenizer).decode(ids)
    assert decoded == text
    assert offsets[tokens.index(" " * 31)] == (6, 37)


def test_rows_of_the_embedding_without_a_token_have_no_text():
    table = TokenBytes(codegen_type())
    assert table.decode((len(table._bytes) + 100,)) == ("", ((0, 0),))


def test_the_space_that_sentencepiece_puts_in_front_is_dropped_only_when_asked():
    tokenizer = t5_type()
    table = TokenBytes(tokenizer)
    ids = tuple(tokenizer("def add")["input_ids"])
    assert table.leading_space
    assert table.decode(ids)[0] == " def add"
    assert table.decode(ids, strip_leading_space=True)[0] == "def add"
    assert not TokenBytes(roberta_type()).leading_space


def test_a_tokenizer_whose_tokens_have_no_bytes_is_refused():
    backend = Tokenizer(models.WordPiece({"[UNK]": 0, "a": 1, "##b": 2}, unk_token="[UNK]"))
    backend.decoder = decoders.WordPiece()
    with pytest.raises(ValueError, match=r"^model\.path holds .* expected byte-level BPE or sentencepiece"):
        TokenBytes(PreTrainedTokenizerFast(tokenizer_object=backend))


def test_ten_thousand_programs_decode_within_a_cpu_second():
    table = KINDS["roberta"][1]
    draw = random.Random(0)
    programs = [tuple(draw.choices(range(5, 330), k=100)) for _ in range(100)]
    start = time.process_time()
    for _ in range(10):  # a tenth of ten thousand
        for program in programs:
            table.decode(program)
    assert time.process_time() - start < 1.0


def test_real_codet5_vocabulary_gives_real_programs_back(shared_data):
    folder = shared_data / "tokenizers" / "codet5"
    backend = Tokenizer(models.BPE.from_file(str(folder / "vocab.json"), str(folder / "merges.txt")))
    like = roberta_type().backend_tokenizer
    backend.pre_tokenizer, backend.decoder, backend.post_processor = (
        like.pre_tokenizer,
        like.decoder,
        like.post_processor,
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>"
    )
    table = TokenBytes(tokenizer)
    programs = [json.loads(line)["code"] for line in (shared_data / "mbpp.jsonl").read_text().splitlines()]
    assert len(programs) == 974
    for program in programs:
        ids = tokenizer(program)["input_ids"]
        text, offsets = table.decode(tuple(ids))
        assert text == program
        if text.isascii():
            assert "".join(text[start:end] for start, end in offsets) == program
        assert ids[0] == 1  # <s>
        assert ids[-1] == 2  # </s>
