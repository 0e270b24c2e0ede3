"""CodeT5+ 110M embedding and 220M bimodal: vectors and scores, by hand from transformers' T5."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from codet5p_folders import codet5p_t5_folder
from policy_kinds import seq2seq_policy
from safetensors.torch import load_file, save_file
from transformers import T5ForConditionalGeneration

from rltf.policies.codet5p.embedding import Embedder, embedder
from rltf.policies.codet5p.matching import Matcher
from rltf.types import Prompt

TEXTS = ["add first and second", "print index for range 10\n", "x"]
PROGRAMS = ["def add(first, second):\n    return first + second\n", "print(index)", 'print("</s>", total)']


@pytest.fixture(scope="module")
def embedding(tmp_path_factory: pytest.TempPathFactory) -> tuple[Embedder, Any]:
    folder = tmp_path_factory.mktemp("embedding")
    model = codet5p_t5_folder(folder, "embedding")
    return embedder("x", str(folder), max_prompt_tokens=64), model


@pytest.fixture(scope="module")
def bimodal(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    folder = tmp_path_factory.mktemp("bimodal")
    return folder, codet5p_t5_folder(folder, "bimodal")


@torch.no_grad()
def test_a_vector_is_the_projection_of_the_first_state_of_length_one(embedding: tuple[Embedder, Any]):
    policy, model = embedding
    vectors = policy.embed(TEXTS)
    assert vectors.shape == (3, 12)
    for text, vector in zip(TEXTS, vectors, strict=True):
        ids = policy.tokenizer(text)["input_ids"]
        assert (ids[0], ids[-1]) == (1, 2)
        state = model.encoder(input_ids=torch.tensor([ids])).last_hidden_state[0, 0]
        projected = model.proj.weight @ state + model.proj.bias
        torch.testing.assert_close(vector, projected / projected.square().sum().sqrt(), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(3))


@torch.no_grad()
def test_its_states_are_those_of_prompt_and_program_as_one_text(embedding: tuple[Embedder, Any]):
    policy, model = embedding
    prompts = [(1, 20, 21, 22), (1, 30)]
    responses = [(40, 41), (50, 51, 52, 53)]
    prompt = torch.tensor([prompts[0], (*prompts[1], 0, 0)])
    response = torch.tensor([(*responses[0], 0, 0), responses[1]])
    hidden, token = policy.hidden_states(prompt, prompt > 0, response, response > 0)
    assert token.tolist() == [0, 1, 4, 5, 6, 7]
    for row, (head, tail) in enumerate(zip(prompts, responses, strict=True)):
        states = model.encoder(input_ids=torch.tensor([head + tail[:-1]])).last_hidden_state[0, len(head) - 1 :]
        torch.testing.assert_close(hidden[torch.tensor([t // 4 == row for t in token])], states, rtol=1e-4, atol=1e-5)


def test_an_embedder_writes_no_text(embedding: tuple[Embedder, Any]):
    policy, _ = embedding
    ids = torch.tensor([[5, 6]])
    with pytest.raises(ValueError, match=r"^model is 'CodeT5pEmbeddingModel': expected a model that writes text"):
        policy.token_logprobs(ids, ids > 0, ids, ids > 0)
    prompt = policy.encode_prompt(Prompt(head="", question="x", tail="\n"))
    assert prompt[0] == 1  # the text goes on behind the prompt
    assert prompt[-1] != policy.eos_id


@torch.no_grad()
def test_a_score_is_the_match_logit_plus_the_similarity(bimodal: tuple[Path, Any]):
    """Each program alone, with the states of transformers' own T5."""
    folder, model = bimodal
    matcher = Matcher("x", str(folder), batch_size=2)
    scores = matcher.scores(TEXTS[0], [*PROGRAMS, PROGRAMS[0]])
    assert scores[0] == scores[3]
    plain = T5ForConditionalGeneration(model.config).eval()
    plain.load_state_dict({n: w for n, w in model.state_dict().items() if not n.startswith(("proj.", "itm_head."))})
    encode = matcher.tokenizer
    text = torch.tensor([encode(TEXTS[0], split_special_tokens=True)["input_ids"]])
    text_states = plain.encoder(input_ids=text).last_hidden_state
    for program, score in zip(PROGRAMS, scores, strict=False):
        code = torch.tensor([encode(program, split_special_tokens=True)["input_ids"]])
        assert (code == 2).sum() == 1
        vectors = [
            torch.nn.functional.normalize(model.proj(states[0, 0]), dim=0)
            for states in (text_states, plain.encoder(input_ids=code).last_hidden_state)
        ]
        code[0, 0] = encode.convert_tokens_to_ids("[ENC]")
        out = plain.decoder(input_ids=code, encoder_hidden_states=text_states, use_cache=False).last_hidden_state
        expected = model.itm_head(out[0, -1])[1] + vectors[0] @ vectors[1]
        assert score == pytest.approx(float(expected), abs=1e-4)
    assert len({round(score, 3) for score in scores}) == 3


def test_what_is_no_bimodal_model_is_refused_with_the_key(bimodal: tuple[Path, Any], tmp_path: Path):
    with pytest.raises(ValueError, match=r"^inference\.matcher\.path is '.*nowhere', where there is nothing: expected"):
        Matcher("x", str(tmp_path / "nowhere"))
    seq2seq_policy().export(tmp_path / "t5")
    with pytest.raises(
        ValueError, match=r"^inference\.matcher\.path: .*t5 holds another model: expected CodeT5\+ 220M"
    ):
        Matcher("x", str(tmp_path / "t5"))
    codet5p_t5_folder(tmp_path / "b", "bimodal")
    state = load_file(tmp_path / "b" / "model.safetensors")
    del state["itm_head.weight"]
    save_file(state, tmp_path / "b" / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(
        ValueError, match=r"^inference\.matcher\.path: .* lacks itm_head\.weight: expected the weights of"
    ):
        Matcher("x", str(tmp_path / "b"))
    seq2seq_policy().tokenizer.save_pretrained(bimodal[0] / "plain")
    for file in ("config.json", "model.safetensors"):
        (bimodal[0] / "plain" / file).write_bytes((bimodal[0] / file).read_bytes())
    with pytest.raises(ValueError, match=r"has no \[ENC\]: expected that of CodeT5\+ 220M bimodal$"):
        Matcher("x", str(bimodal[0] / "plain"))


def test_an_embedding_folder_lacks_no_decoder_and_needs_its_projection(tmp_path: Path):
    codet5p_t5_folder(tmp_path / "b", "bimodal")
    assert isinstance(embedder("x", str(tmp_path / "b")), Embedder)  # the bimodal model has an encoder and a projection
    fields = json.loads((tmp_path / "b" / "config.json").read_text())
    fields["embed_dim"] = 5
    (tmp_path / "b" / "config.json").write_text(json.dumps(fields))
    with pytest.raises(
        ValueError, match=r"has another shape of proj\.bias and 1 more: expected the weights of CodeT5\+ 110M"
    ):
        embedder("x", str(tmp_path / "b"))
