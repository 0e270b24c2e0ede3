"""How prompts and answers become token ids."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from models import t5_model
from policy_kinds import (
    CHAT_TEMPLATE,
    POLICIES,
    codegen_policy,
    codegen_type,
    llama_policy,
    roberta_type,
    seq2seq_policy,
    t5_type,
)

from rltf.policies.causal import CausalPolicy
from rltf.policies.seq2seq import Seq2SeqPolicy
from rltf.policies.tiny import tiny_causal, tiny_t5
from rltf.types import Prompt

ALL = {kind: build() for kind, build in {**POLICIES, "tiny_t5": tiny_t5, "tiny_causal": tiny_causal}.items()}
PROGRAM = "def add(first, second):\n    return first + second\n"
LONG = Prompt(head="QUESTION:\n", question="add first and second " * 40, tail="\nANSWER:\n")


@pytest.mark.parametrize("family", ALL)
@given(text=st.text(st.characters(exclude_categories=("Cs",)), max_size=30) | st.just(PROGRAM) | st.just("  x\n</s>"))
@settings(max_examples=40, deadline=None)
def test_a_demonstration_decodes_to_itself_and_ends_with_one_eos(family: str, text: str):
    policy = ALL[family]
    if family == "llama":
        text = text.replace("\u2581", "_")  # SentencePiece's own sign for a space: there is no way to write it
    ids = policy.encode_answer(text)
    assert ids.count(policy.eos_id) == 1
    assert ids[-1] == policy.eos_id
    assert policy.decode(ids)[0] == text


def test_codet5_demonstrations_begin_with_the_start_token_that_it_draws_first():
    assert seq2seq_policy().encode_answer(PROGRAM)[0] == 1  # <s>


def test_t5_sentencepiece_demonstrations_lose_the_dummy_space():
    tokenizer = t5_type()
    policy = Seq2SeqPolicy(t5_model(len(tokenizer)), tokenizer, max_prompt_tokens=32)
    ids = policy.encode_answer("def add")
    assert policy.decode(ids)[0] == "def add"
    assert ids[-1] == tokenizer.eos_token_id


def test_a_causal_answer_continues_the_prompt_without_a_dummy_space():
    policy = llama_policy()
    tokens = policy.tokenizer.convert_ids_to_tokens(policy.encode_answer("def"))
    assert not tokens[0].startswith("\u2581")
    assert policy.decode(policy.encode_answer(" def"))[0] == " def"


@pytest.mark.parametrize("family", ALL)
def test_special_tokens_written_in_a_problem_stay_text(family: str):
    policy = ALL[family]
    eos = policy.tokenizer.eos_token
    ids = policy.encode_prompt(Prompt(head="", question=f"print {eos} twice", tail=":"))
    plain = policy.encode_prompt(Prompt(head="", question="print twice", tail=":"))
    assert ids.count(policy.eos_id) == plain.count(policy.eos_id)
    assert eos in policy.decode(ids)[0]


@pytest.mark.parametrize("family", ALL)
def test_only_the_question_of_a_long_prompt_is_cut(family: str):
    policy = ALL[family]
    ids = policy.encode_prompt(LONG)
    text = policy.decode(ids)[0].removeprefix(" ")  # Llama's dummy space
    assert policy.max_prompt_tokens - 3 <= len(ids) <= policy.max_prompt_tokens
    assert text.startswith("QUESTION:\nadd first")
    assert text.endswith("\nANSWER:\n")
    question = text.removeprefix(LONG.head).removesuffix(LONG.tail)
    assert LONG.question.startswith(question)


@pytest.mark.parametrize("family", ALL)
@given(question=st.text(st.characters(exclude_categories=("Cs",)), max_size=300))
@settings(max_examples=25, deadline=None)
def test_any_question_fits_and_its_prompt_keeps_both_ends(family: str, question: str):
    policy = ALL[family]
    ids = policy.encode_prompt(Prompt(head="Q:\n", question=question, tail="\nA:\n", answer="def f("))
    text = policy.decode(ids)[0].removeprefix(" ")
    assert len(ids) <= policy.max_prompt_tokens
    assert text.startswith("Q:\n")
    assert text.endswith("\nA:\ndef f(")
    assert question.startswith(text.removeprefix("Q:\n").removesuffix("\nA:\ndef f("))


def test_a_short_prompt_is_encoded_as_one_text():
    policy = codegen_policy()
    prompt = Prompt(head="QUES", question="TION: for", tail=" index in", answer=" range")
    assert policy.encode_prompt(prompt) == tuple(policy.tokenizer("QUESTION: for index in range")["input_ids"])


def test_a_prompt_too_long_without_its_question_is_an_error_that_names_the_key():
    policy = codegen_policy()
    with pytest.raises(
        ValueError, match=r"^model\.max_prompt_tokens is 64, but .* takes \d+ tokens without its question"
    ):
        policy.encode_prompt(Prompt(head="write a function " * 30, question="x", tail=""))


def test_a_causal_prompt_stays_open_even_if_its_tokenizer_closes_texts():
    tokenizer = roberta_type()
    policy = CausalPolicy(POLICIES["llama"]().model.__class__(_config(len(tokenizer))), tokenizer, 64)
    ids = policy.encode_prompt(Prompt(head="", question="add", tail=":"))
    assert ids[0] == tokenizer.bos_token_id
    assert ids[-1] != tokenizer.eos_token_id


def test_chat_prompts_go_through_the_template_with_the_answer_opened():
    policy = codegen_policy()
    policy.tokenizer.chat_template = CHAT_TEMPLATE
    ids = policy.encode_prompt(Prompt(head="h ", question="q", tail=" t", answer="```python\n", chat=True))
    assert ids[0] == policy.eos_id  # the template's own <|endoftext|>, as a special token
    assert policy.decode(ids)[0] == "user\nh q t\nassistant\n```python\n"


def test_chat_prompts_are_cut_in_the_question_too():
    policy = codegen_policy()
    policy.tokenizer.chat_template = CHAT_TEMPLATE
    prompt = Prompt(head="h ", question="add first and second " * 40, tail=" t", answer="```python\n", chat=True)
    ids = policy.encode_prompt(prompt)
    text = policy.decode(ids)[0]
    assert len(ids) <= policy.max_prompt_tokens
    assert text.startswith("user\nh add first")
    assert text.endswith(" t\nassistant\n```python\n")


def test_chat_prompts_need_a_chat_template():
    with pytest.raises(ValueError, match=r"^benchmark\.prompt is chat, but the tokenizer .* has no chat template"):
        codegen_policy().encode_prompt(Prompt(head="", question="q", tail="", chat=True))


def test_a_model_without_a_pad_token_pads_with_its_eos_and_keeps_its_embeddings():
    policy = codegen_policy()
    assert codegen_type().pad_token_id is None
    assert policy.pad_id == policy.eos_id
    assert policy.model.get_input_embeddings().weight.shape[0] == len(policy.tokenizer) + 9


def test_a_tokenizer_without_eos_is_refused_in_one_sentence():
    tokenizer = roberta_type()
    tokenizer.eos_token = None
    with pytest.raises(ValueError, match=r"^model\.path holds a tokenizer without an end-of-sequence token"):
        Seq2SeqPolicy(t5_model(len(tokenizer)), tokenizer, 64)


def test_a_tokenizer_of_another_model_is_refused_in_one_sentence():
    tokenizer = roberta_type()
    with pytest.raises(ValueError, match=r"^model\.path holds a tokenizer of 331 tokens but a model of 300 embeddings"):
        Seq2SeqPolicy(t5_model(300), tokenizer, 64)


def test_a_decoder_only_model_is_no_seq2seq_policy():
    with pytest.raises(ValueError, match=r"^model\.path holds a LlamaForCausalLM: expected a T5"):
        Seq2SeqPolicy(llama_policy().model, roberta_type(), 64)


def test_a_t5_without_a_start_token_is_refused():
    model = t5_model(331)
    model.config.decoder_start_token_id = None
    with pytest.raises(ValueError, match=r"^model\.path holds a config\.json without decoder_start_token_id"):
        Seq2SeqPolicy(model, roberta_type(), 64)


def test_a_context_is_known_where_positions_are_bounded():
    assert llama_policy().context == codegen_policy().context == 256
    assert seq2seq_policy().context is None


@pytest.mark.parametrize("tokens", [0, 256, 1000])
def test_prompt_lengths_that_leave_no_room_are_refused(tokens: int):
    policy = llama_policy()
    with pytest.raises(ValueError, match=rf"^max_prompt_tokens is {tokens}: expected"):
        CausalPolicy(policy.model, policy.tokenizer, tokens)


def _config(vocabulary: int):
    config = llama_policy().model.config
    config.vocab_size = vocabulary
    return config
