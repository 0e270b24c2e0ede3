"""Encoder-decoders that are no T5: what the decoder reads first, how long a program may be, padding."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from families import CONTEXT, family_model
from policy_kinds import roberta_type
from tokenizers import processors
from torch import Tensor

from rltf.generation.hf import HFSampler
from rltf.policies.encoder_decoder import EncoderDecoderPolicy
from rltf.policies.load import pretrained
from rltf.rollouts.collate import collate_programs
from rltf.types import FinishReason, Program, Request, Sampling

BOS, EOS = 1, 2
"""Of the tokenizer: `<s> ... </s>` around every text."""
NEW = 10


def policy_of(family: str, **generation: int | None) -> EncoderDecoderPolicy:
    tokenizer = roberta_type()
    model = family_model(family, len(tokenizer))
    names = {"eos_token_id": EOS, "bos_token_id": BOS, "decoder_start_token_id": None, **generation}
    for name, value in names.items():
        setattr(model.generation_config, name, value)
        if name != "forced_bos_token_id":  # of generation configs alone
            setattr(model.config, name, value)
    return EncoderDecoderPolicy(model, tokenizer, 48)


def test_a_token_that_generate_forces_first_is_read_and_not_drawn(tmp_path: Path):
    policy = policy_of("bart", decoder_start_token_id=EOS, forced_bos_token_id=BOS)
    policy.export(tmp_path)
    policy = pretrained(name="bart", path=str(tmp_path), max_prompt_tokens=48)
    assert policy.start_ids == (EOS, BOS)
    prompt = (5, 6, 7, 8)
    (sample,) = HFSampler().sample(policy, [Request("p", prompt, (), greedy=True)], Sampling(max_new_tokens=NEW), 0)
    ids = torch.tensor([prompt])
    generated = policy.model.generate(ids, do_sample=False, max_new_tokens=NEW + 1, forced_eos_token_id=None)[0]
    assert generated.tolist() == [EOS, BOS, *sample.token_ids]
    (logprobs,) = trained(policy, [prompt], [sample.token_ids])
    decoder_ids = torch.tensor([[EOS, BOS, *sample.token_ids]])
    with torch.no_grad():
        logits = policy.model(input_ids=ids, decoder_input_ids=decoder_ids[:, :-1]).logits[0, 1:]
    expected = logits.log_softmax(-1).gather(-1, decoder_ids[0, 2:, None])[:, 0]
    torch.testing.assert_close(logprobs, expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(torch.tensor(sample.logprobs), expected, rtol=0, atol=1e-5)


def test_demonstrations_are_what_the_decoder_draws():
    """`<s>` of the tokenizer is drawn where it is not forced; a language behind the end (PLBART) never is."""
    policy = policy_of("bart", decoder_start_token_id=EOS)
    text = policy.tokenizer("return x", add_special_tokens=False)["input_ids"]
    assert policy.encode_answer("return x") == (BOS, *text, EOS)
    assert policy_of("bart", decoder_start_token_id=EOS, forced_bos_token_id=BOS).encode_answer("return x") == (
        *text,
        EOS,
    )
    language = processors.TemplateProcessing(single="$A </s> <mask>", special_tokens=[("</s>", EOS), ("<mask>", 4)])
    policy.tokenizer.backend_tokenizer.post_processor = language
    assert policy.encode_answer("return x") == (*text, EOS)


def test_without_a_start_token_the_one_that_begins_texts_is_taken_as_generate_does():
    assert policy_of("plbart").start_ids == (BOS,)
    with pytest.raises(ValueError, match=r"config\.json without decoder_start_token_id and bos_token_id: expected the"):
        policy_of("plbart", bos_token_id=None)


def test_prompts_and_programs_have_as_many_tokens_as_their_side_has_positions():
    policy = policy_of("bart", decoder_start_token_id=EOS, forced_bos_token_id=BOS)
    assert policy.context is None
    assert policy.response_limit == CONTEXT - 1  # the last token is not read; two tokens are before the first
    longest = Request("p", (5,) * 48, (0,), prefix_ids=(6,) * (CONTEXT - 1 - NEW))
    assert len(list(HFSampler().sample(policy, [longest], Sampling(max_new_tokens=NEW), 0))) == 1
    longer = Request("p", (5,) * 48, (0,), prefix_ids=(*longest.prefix_ids, 6))
    with pytest.raises(ValueError, match=r"which with a prefix makes 96 tokens: expected at most 95, the positions"):
        list(HFSampler().sample(policy, [longer], Sampling(max_new_tokens=NEW), 0))
    with pytest.raises(
        ValueError, match=r"^max_prompt_tokens is 97: expected at most 96, the positions of the model's"
    ):
        EncoderDecoderPolicy(policy.model, policy.tokenizer, CONTEXT + 1)
    assert policy_of("longt5").response_limit is None


@pytest.mark.parametrize("family", ["longt5_global", "bart"])
@pytest.mark.parametrize("share", [True, False])
def test_logprobs_of_a_padded_batch_are_those_of_one_row(family: str, share: bool):
    policy = policy_of(family, decoder_start_token_id=EOS)
    policy.share_prompts = share
    prompts = [(5, 6, 7), tuple(range(5, 42)), (5, 6, 7), tuple(range(50, 71))]  # 3, 37 and 21 tokens
    responses = [(8, 9), (10, 11, 12, 13), (14,), (9, 9, 9)]
    actual = trained(policy, prompts, responses)
    for prompt, response, logprobs in zip(prompts, responses, actual, strict=True):
        with torch.no_grad():
            decoder_ids = torch.tensor([[EOS, *response[:-1]]])
            logits = policy.model(input_ids=torch.tensor([prompt]), decoder_input_ids=decoder_ids).logits[0]
        expected = logits.log_softmax(-1).gather(-1, torch.tensor(response)[:, None])[:, 0]
        torch.testing.assert_close(logprobs, expected, rtol=0, atol=1e-5)


def trained(
    policy: EncoderDecoderPolicy, prompts: list[tuple[int, ...]], responses: list[tuple[int, ...]]
) -> list[Tensor]:
    """log-probs of each response, from one batch."""
    programs = [
        Program("", "", p, r, (), (0.0,) * len(r), FinishReason.LENGTH) for p, r in zip(prompts, responses, strict=True)
    ]
    batch = collate_programs(programs, policy.pad_id, policy.prompt_padding)
    with torch.no_grad():
        logprobs_BT, _ = policy.token_logprobs(
            batch.prompt_BS, batch.prompt_mask_BS, batch.response_BT, batch.mask_BT, entropy=False
        )
    return [row[: len(response)] for row, response in zip(logprobs_BT, responses, strict=True)]
