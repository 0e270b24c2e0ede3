"""What a model cannot do is said before anything is drawn or trained, by the key of the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from omegaconf import DictConfig

from rltf.execution.languages import installed_runtimes
from rltf.policies.tiny import tiny_causal
from rltf.rollouts.clock import PhaseClock
from rltf.setup.checks import read_training_config
from rltf.setup.components import Components

SMALL = ("model=pretrained", "recipe=tiny_t5", "model.name=tiny", "model.max_prompt_tokens=128", "executor.workers=1")


@pytest.fixture
def build(composed: Callable[..., DictConfig], tmp_path: Path) -> Callable[..., None]:
    """Builds the components of a run, with a tiny causal model whose context is 2048 tokens."""
    tiny_causal(layers=1, d_model=32, d_ff=32).export(tmp_path / "weights")

    def make(name: str, *overrides: str, training: bool = True) -> None:
        small = SMALL if name == "train" else [o for o in SMALL if not o.startswith("recipe")]
        cfg = composed(name, *small, f"model.path={tmp_path / 'weights'}", *overrides)
        with Components.build(cfg, PhaseClock(), training=training):
            pass

    return make


def test_a_model_that_is_served_begins(build: Callable[..., None]):
    build("train", "generation.sampling.max_new_tokens=1920")
    build("train", "generation=hf", "generation.self_check=false")


def test_a_credit_by_references_is_refused_where_no_training_problem_has_one(
    build: Callable[..., None], tmp_path: Path
):
    rows = [
        {
            "id": f"apps/{split}/1",
            "split": split,
            "form": "stdin",
            "difficulty": "introductory",
            "question": "Print the number.",
            "starter_code": "",
            "solutions": solutions,
            "input_output": {"inputs": ["1\n", "2\n"], "outputs": ["1\n", "2\n"]},
            "source": "",
        }
        for split, solutions in (("train", []), ("test", ["print(input())"]))
    ]
    (tmp_path / "apps.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    options = ("benchmark=apps", f"benchmark.path={tmp_path / 'apps.jsonl'}", "benchmark.validation_share=0")
    says = r"^credit compares wrong answers with a reference program \(credit=divergence\) and no training problem of "
    with pytest.raises(ValueError, match=says + "benchmark=apps has one: use a benchmark with references"):
        build("train", "credit=divergence", *options)
    build("train", "credit=tests", *options)
    build("train", "credit=divergence")


@pytest.mark.skipif("javascript" not in installed_runtimes(), reason="quickjs-ng is not installed")
@pytest.mark.parametrize("credit", ["executed", "tests", "divergence"])
def test_a_credit_that_reads_lines_is_refused_where_no_program_is_in_python(credit: str, build: Callable[..., None]):
    sizes = "benchmark.sizes={train: 2, validation: 1, test: 1}"
    says = r"^credit reads which lines .* benchmark=infinitum asks for javascript: use credit=none or a critic"
    with pytest.raises(ValueError, match=says):
        build("train", "benchmark=infinitum", "benchmark.language=javascript", sizes, f"credit={credit}")


def test_half_precision_weights_are_refused_in_training_alone(build: Callable[..., None]):
    with pytest.raises(ValueError, match=r"^model\.dtype is 'bfloat16': expected float32"):
        build("train", "model.dtype=bfloat16")
    build("eval", "model.dtype=bfloat16", "policy=any", training=False)


def test_programs_beyond_the_context_are_refused(build: Callable[..., None]):
    for sampler in ("auto", "native", "hf"):
        with pytest.raises(ValueError, match=r"^generation\.sampling\.max_new_tokens is 1921: expected at most 1920"):
            build("train", f"generation={sampler}", "generation.sampling.max_new_tokens=1921")


@pytest.mark.parametrize("target", ["q", "[q_proj, q]", "all"])
def test_layers_that_no_model_has_are_refused_by_their_whole_key(target: str, build: Callable[..., None]):
    pytest.importorskip("peft", reason="the extra lora is not installed")
    with pytest.raises(ValueError, match=r"^model\.lora\.target_modules is .*fits no layer"):
        build("train", f"model.lora={{r: 2, target_modules: {target}}}")


def test_a_trainer_that_shortens_weights_is_refused(composed: Callable[..., DictConfig]):
    with pytest.raises(ValueError, match=r"^trainer\.precision is 'bf16-true': expected bf16-mixed"):
        read_training_config(composed("train", "trainer.precision=bf16-true"))


def test_the_default_sampler_is_chosen_before_work(build: Callable[..., None], monkeypatch: pytest.MonkeyPatch):
    chosen: list[str] = []
    monkeypatch.setattr("rltf.setup.components.check_sampler", lambda _policy, s, _new: chosen.append(type(s).__name__))
    build("train")
    build("eval", "policy=any", training=False)
    assert chosen == ["Engine", "Engine"]


def test_the_self_check_can_be_left_out(build: Callable[..., None], monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object) -> None:
        raise ValueError("generation: refused")

    monkeypatch.setattr("rltf.setup.components.check_sampler", refuse)
    build("train", "generation.self_check=false")
    with pytest.raises(ValueError, match="generation: refused"):
        build("train")
