"""CodeT5+ 2B and 6B against transformers' CodeGen, of which both parts are made, and against the hub's layout."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from models import codegen_model, codet5p_model
from transformers import AutoModelForSeq2SeqLM, DynamicCache, EncoderDecoderCache
from transformers.masking_utils import create_causal_mask

from rltf.policies.codet5p.layers import SHARDS
from rltf.policies.codet5p.model import CodeT5pEncoderDecoderModel, register

VOCABULARY = 60
PROMPT = (11, 7, 29, 40, 3)


def shaken(seed: int = 0, **options: Any) -> CodeT5pEncoderDecoderModel:
    """A model in which every term shows."""
    torch.manual_seed(seed)
    model = codet5p_model(VOCABULARY, 32, layers=3, **options)
    with torch.no_grad():
        for weight in model.parameters():
            weight.normal_(std=0.3) if weight.dim() == 2 else weight.add_(0.2 * torch.randn_like(weight))
    return model


def ids(length: int, rows: int = 2, seed: int = 1) -> torch.Tensor:
    return torch.randint(3, VOCABULARY, (rows, length), generator=torch.Generator().manual_seed(seed))


def logits(model: CodeT5pEncoderDecoderModel, prompt: torch.Tensor, read: torch.Tensor, **options: Any) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=prompt, decoder_input_ids=read, **options).logits


def test_without_cross_attention_the_decoder_is_transformers_codegen():
    model = shaken()
    torch.nn.init.zeros_(model.decoder.transformer.h[-1].crossattention.out_proj.weight)
    oracle = codegen_model(VOCABULARY, 32, layers=3)
    own = {name: weight for name, weight in model.decoder.state_dict().items() if ".crossattention." not in name}
    oracle.load_state_dict(own)
    read = ids(40)
    with torch.no_grad():
        torch.testing.assert_close(logits(model, ids(9), read), oracle(read).logits, rtol=1e-5, atol=1e-5)


def test_the_encoder_is_transformers_codegen_that_sees_the_whole_text():
    model = shaken()
    oracle = codegen_model(VOCABULARY, 16, rotary_dim=4).transformer
    oracle.load_state_dict(model.encoder.state_dict())
    text = ids(13)
    visible = torch.zeros(2, 1, 13, 13)  # added to scores
    with torch.no_grad():
        expected = oracle(text, attention_mask=visible).last_hidden_state
        torch.testing.assert_close(model.encoder(text).last_hidden_state, expected, rtol=1e-5, atol=1e-5)
        assert not torch.allclose(oracle(text).last_hidden_state, expected, atol=1e-3)  # as a decoder it differs


def test_cross_attention_by_hand():
    """Of one head and one query at position t: softmax of rotated products, then the projection of what was seen."""
    model = codet5p_model(VOCABULARY, 8, encoder=8, heads=4, layers=1)
    cross = model.decoder.transformer.h[0].crossattention
    torch.manual_seed(2)
    for weight in cross.parameters():
        torch.nn.init.normal_(weight)
    states, hidden, position = torch.randn(3, 8), torch.randn(8), 5
    joined = cross.qkv_proj.weight @ states.t()  # (16, 3): of each shard's 4 numbers the first 2 are values
    parts = joined.view(SHARDS, 2, 2, 3)
    value, key = parts[:, 0], parts[:, 1]  # shard = head, two dimensions: (4, 2, 3)
    query = (cross.q_attn.weight @ hidden).view(4, 2)

    def turned(pair: torch.Tensor, at: int) -> torch.Tensor:
        angle = torch.tensor(float(at))  # 10000^0 = 1: the one frequency of two dimensions
        cos, sin = angle.cos(), angle.sin()
        return torch.stack([pair[0] * cos - pair[1] * sin, pair[1] * cos + pair[0] * sin])

    heads = []
    for head in range(4):
        turned_query = turned(query[head], position)
        scores = torch.stack([turned_query @ turned(key[head, :, s], s) for s in range(3)]) / 2**0.5
        heads.append(value[head] @ scores.softmax(0))
    expected = cross.out_proj.weight @ torch.cat(heads)
    from rltf.policies.codet5p.layers import EncoderStates, rotation_at

    cross.rotary_dim = 2
    rotation = rotation_at(torch.tensor([[position]]), 2)
    out = cross(hidden[None, None], rotation, EncoderStates(states[None], None), None)
    torch.testing.assert_close(out[0, 0], expected, rtol=1e-5, atol=1e-6)


def test_only_the_last_layer_attends_to_the_encoder():
    names = [name for name in shaken().state_dict() if "crossattention" in name]
    assert {re.sub(r"\.[a-z_]+\.weight$", "", name) for name in names} == {"decoder.transformer.h.2.crossattention"}


def test_values_come_before_keys_in_each_shard():
    model, prompt, read = shaken(), ids(6), ids(7, seed=2)
    before = logits(model, prompt, read)
    weight = model.decoder.transformer.h[-1].crossattention.qkv_proj.weight
    with torch.no_grad():
        weight.copy_(weight.unflatten(0, (SHARDS, 2, -1)).flip(1).flatten(0, 2))
    assert not torch.allclose(logits(model, prompt, read), before, atol=1e-2)


def test_one_token_at_a_time_equals_one_pass_for_40_tokens():
    model, prompt, read = shaken(), ids(9), ids(40, seed=2)
    whole = logits(model, prompt, read)
    cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
    steps = [logits(model, prompt, read[:, t : t + 1], past_key_values=cache)[:, 0] for t in range(40)]
    torch.testing.assert_close(torch.stack(steps, 1), whole, rtol=1e-4, atol=1e-5)
    assert cache.cross_attention_cache.get_seq_length() == 9


@pytest.mark.parametrize("side", ["right", "left"])
def test_padding_on_either_side_changes_nothing(side: str):
    model, prompt, read = shaken(), ids(6, rows=1), ids(8, rows=1, seed=2)
    alone = logits(model, prompt, read)
    padding = torch.zeros(1, 4, dtype=torch.long)
    ends = [padding, prompt] if side == "left" else [prompt, padding]
    read_ends = [padding, read] if side == "left" else [read, padding]
    mask = torch.cat([torch.zeros_like(padding) if end is padding else torch.ones_like(end) for end in ends], 1)
    read_mask = torch.cat([torch.zeros_like(padding) if e is padding else torch.ones_like(e) for e in read_ends], 1)
    padded = logits(
        model, torch.cat(ends, 1), torch.cat(read_ends, 1), attention_mask=mask, decoder_attention_mask=read_mask
    )
    real = padded[:, 4:] if side == "left" else padded[:, :8]
    torch.testing.assert_close(real, alone, rtol=1e-5, atol=1e-5)


def test_the_loss_is_the_mean_over_labels_that_are_no_padding():
    model, prompt = shaken(), ids(5, rows=1)
    labels = torch.tensor([[-100, -100, 7, 9]])
    with torch.no_grad():
        loss = model(input_ids=prompt, labels=labels).loss
    log_probs = logits(model, prompt, torch.tensor([[model.config.decoder_start_token_id, 0, 0, 7]])).log_softmax(-1)[0]
    assert float(loss) == pytest.approx(-float(log_probs[2, 7] + log_probs[3, 9]) / 2, rel=1e-5)


def test_names_are_those_of_the_hubs_weights():
    block = ("ln_1", "attn.qkv_proj", "attn.out_proj", "mlp.fc_in", "mlp.fc_out")
    modules = {
        *(f"encoder.h.{layer}.{name}" for layer in range(2) for name in block),
        *(f"decoder.transformer.h.{layer}.{name}" for layer in range(3) for name in block),
        *(f"decoder.transformer.h.2.crossattention.{name}" for name in ("q_attn", "qkv_proj", "out_proj")),
        *("encoder.wte", "encoder.ln_f", "decoder.transformer.wte", "decoder.transformer.ln_f"),
        *("decoder.lm_head", "enc_to_dec_proj"),
    }
    state = shaken().state_dict()
    assert {name.rpartition(".")[0] for name in state} == modules
    with_bias = {name.removesuffix(".bias") for name in state if name.endswith(".bias")}
    assert {m for m in modules if m.endswith(("ln_1", "ln_f", "fc_in", "fc_out", "lm_head", "dec_proj"))} == with_bias


OLD_FIELDS: dict[str, Any] = {
    "_name_or_path": "codegen",
    "architectures": ["CodeGenForCausalLM"],
    "is_encoder_decoder": False,
    "add_cross_attention": True,
    "cross_attention_hidden_size": None,
    "is_decoder": True,
    "tie_encoder_decoder": False,
    "bad_words_ids": None,
    "begin_suppress_tokens": None,
    "chunk_size_feed_forward": 0,
    "decoder_start_token_id": None,
    "diversity_penalty": 0.0,
    "do_sample": True,
    "early_stopping": False,
    "encoder_no_repeat_ngram_size": 0,
    "exponential_decay_length_penalty": None,
    "finetuning_task": None,
    "forced_bos_token_id": None,
    "num_beams": 1,
    "id2label": {"0": "LABEL_0", "1": "LABEL_1"},
    "label2id": {"LABEL_0": 0, "LABEL_1": 1},
    "length_penalty": 1.0,
    "gradient_checkpointing": False,
    "max_length": 20,
    "min_length": 0,
    "n_inner": None,
    "num_return_sequences": 1,
    "output_attentions": False,
    "output_hidden_states": False,
    "output_scores": False,
    "prefix": None,
    "pruned_heads": {},
    "remove_invalid_values": False,
    "repetition_penalty": 1.0,
    "return_dict": True,
    "return_dict_in_generate": False,
    "scale_attn_weights": True,
    "sep_token_id": None,
    "summary_type": "cls_index",
    "summary_use_proj": True,
    "suppress_tokens": None,
    "temperature": 1.0,
    "tf_legacy_loss": False,
    "top_k": 50,
    "task_specific_params": {"text-generation": {"do_sample": True, "max_length": 50, "temperature": 1.0}},
    "tokenizer_class": "GPT2Tokenizer",
    "top_p": 1.0,
    "torch_dtype": "float16",
    "torchscript": False,
    "transformers_version": "4.21.3",
    "typical_p": 1.0,
    "use_bfloat16": False,
    "tie_word_embeddings": False,
}
"""What configurations of 2023 say besides sizes."""


def write_as_the_hub_does(model: CodeT5pEncoderDecoderModel, folder: Path) -> None:
    """Half precision in a pickle, causal masks among the weights, and a configuration that names code of the hub."""
    model.config.save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    config["architectures"] = ["CodeT5pEncoderDecoderModel"]
    config["auto_map"] = {
        "AutoConfig": "configuration_codet5p.CodeT5pConfig",
        "AutoModelForSeq2SeqLM": "modeling_codet5p.CodeT5pEncoderDecoderModel",
    }
    config |= {"torch_dtype": "float16", "transformers_version": None, "vocab_size": VOCABULARY}
    for part in ("encoder", "decoder"):
        config[part] |= OLD_FIELDS
    (folder / "config.json").write_text(json.dumps(config))
    state = {name: weight.half() for name, weight in model.state_dict().items()}
    for name in [name for name in state if name.endswith("qkv_proj.weight")]:
        state[name.replace("qkv_proj.weight", "causal_mask")] = torch.ones(1, 1, 8, 8, dtype=torch.uint8)
    torch.save(state, folder / "pytorch_model.bin")


def test_a_folder_of_the_hub_loads_without_its_code(tmp_path: Path):
    register()
    model = shaken()
    write_as_the_hub_does(model, tmp_path)
    loaded, report = AutoModelForSeq2SeqLM.from_pretrained(tmp_path, dtype=torch.float32, output_loading_info=True)
    assert type(loaded) is CodeT5pEncoderDecoderModel
    assert not any(report.values())
    prompt, read = ids(5), ids(6, seed=2)
    expected = logits(model.half().float(), prompt, read)
    assert torch.equal(logits(loaded.eval(), prompt, read), expected)


def test_the_causal_mask_is_that_of_transformers():
    """Left padding, and a cache that is continued."""
    model = shaken()
    mask = torch.tensor([[0, 0, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1]])
    oracle = codegen_model(VOCABULARY, 32)
    embeds = torch.zeros(2, 6, 32)
    theirs = create_causal_mask(
        config=oracle.config, inputs_embeds=embeds, attention_mask=mask, past_key_values=None, position_ids=None
    )
    visible = theirs if theirs.dtype == torch.bool else theirs == 0
    ours = model.decoder.transformer._visible(mask.bool(), 6)
    real = mask.bool()[:, None, :, None].expand_as(ours)
    assert torch.equal(ours[real], visible[real])
    assert torch.equal(model.decoder.transformer._visible(mask.bool(), 2), ours[:, :, 4:])
