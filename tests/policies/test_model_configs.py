"""Every yaml of configs/model: builds, or says in one sentence what is missing."""

from __future__ import annotations

import inspect
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from codet5p_folders import codet5p_t5_folder
from policy_kinds import codegen_policy, codet5p_policy, llama_policy, seq2seq_policy

from rltf.policies.codet5p.embedding import Embedder
from rltf.policies.pretrained import TransformersPolicy
from rltf.policies.seq2seq import Seq2SeqPolicy
from rltf.types import Prompt

FILES = {file.stem: file for file in (Path(__file__).parents[2] / "configs" / "model").glob("*.yaml")}
TINY = ["tiny_t5", "tiny_causal"]
HEADS = {"codet5p_110m_embedding": "embedding", "codet5p_220m_bimodal": "bimodal"}
"""T5 types with further parts -> what kind they are."""
HUB = sorted(set(FILES) - {*TINY, "smollm2_135m", "pretrained"})  # `pretrained`: whatever eval.py is given


def read(name: str) -> tuple[Any, dict[str, Any]]:
    """The target and its keywords."""
    keywords = yaml.safe_load(FILES[name].read_text())
    module, _, function = keywords.pop("_target_").rpartition(".")
    return getattr(import_module(module), function), keywords


def test_the_models_that_the_design_names_are_there():
    paper = {"codet5_small", "codet5_220m", "codet5_770m", "codet5p_220m", "codet5p_770m", "codegen_350m", "codegen_2b"}
    paper |= {f"codet5p_{size}" for size in ("2b", "6b", "220m_py", "770m_py", "220m_bimodal", "110m_embedding")}
    assert paper | {"tiny_t5", "tiny_causal", "smollm2_135m", "qwen25_coder_0_5b"} <= set(FILES)


@pytest.mark.parametrize("name", FILES)
def test_its_keys_are_those_of_its_builder(name: str):
    build, keywords = read(name)
    of_packages = {"gguf_file", "package"} & set(keywords)
    of_groups = {"prompts"}  # its own group of choices writes it here
    parameters = set(inspect.signature(build).parameters) - {"gguf_file", "package"} - of_groups
    assert set(keywords) == parameters | of_packages


@pytest.mark.parametrize("name", FILES)
def test_each_value_says_its_unit_or_reason(name: str):
    lines = FILES[name].read_text().splitlines()
    assert lines[0].startswith("# ")
    assert all("#" in line for line in lines if not line.startswith("_target_"))


@pytest.mark.parametrize("name", TINY)
def test_tiny_models_build_as_they_stand(name: str):
    build, keywords = read(name)
    policy = build(**{**keywords, "seed": 1})
    assert isinstance(policy, TransformersPolicy)
    ids = policy.encode_prompt(Prompt(head="", question="add x and y", tail="\n"))
    assert 0 < len(ids) <= policy.max_prompt_tokens


@pytest.mark.parametrize("name", HUB)
def test_hub_models_without_weights_name_the_hub_id_and_the_key(name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("rltf.policies.locate._cached", lambda name: False)
    build, keywords = read(name)
    with pytest.raises(ValueError, match=rf"the weights of {keywords['name']} are not in .* model\.path=FOLDER"):
        build(**keywords)


@pytest.mark.parametrize("name", HUB)
def test_a_local_folder_of_its_kind_takes_the_place_of_the_hub(name: str, tmp_path: Path):
    """A small model of the same family; its context is shorter than the prompts of the real one."""
    build, keywords = read(name)
    if name in HEADS:
        codet5p_t5_folder(tmp_path, HEADS[name])
    else:
        small = {
            **dict.fromkeys(("codet5p_2b", "codet5p_6b"), codet5p_policy),
            "codet5": seq2seq_policy,
            "codegen": codegen_policy,
            "qwen25": llama_policy,
        }
        policy = next(make for prefix, make in small.items() if name.startswith(prefix))()
        policy.export(tmp_path)
    loaded = build(**{**keywords, "path": str(tmp_path), "max_prompt_tokens": 64})
    kinds = {"embedding": Embedder, "bimodal": Seq2SeqPolicy}
    assert type(loaded) is (kinds[HEADS[name]] if name in HEADS else type(policy))
    assert loaded.decode(loaded.encode_answer("def f():\n    pass\n"))[0] == "def f():\n    pass\n"
