"""Runs of train.py above a base in 4 bits, on bitsandbytes' backend for CPUs: the device alone is another."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from omegaconf import DictConfig

from rltf.callbacks.phase_timer import PhaseTimer
from rltf.commands.evaluate import evaluate
from rltf.commands.export import main as export
from rltf.commands.train import train
from rltf.policies import quantization
from rltf.policies.tiny import tiny_causal, tiny_t5
from rltf.runs.checkpoint_file import newest, read_checkpoint

pytestmark = pytest.mark.skipif(
    find_spec("bitsandbytes") is None or find_spec("peft") is None, reason="the extra qlora is not installed"
)
SMALL = (
    *("debug=default", "logger=none", "report=false", "callbacks.progress=null", "trainer.max_epochs=4"),
    *("benchmark.sizes={train: 20, validation: 4, test: 4}", "executor.workers=1", "warmup.from=scratch"),
    *("generation.sampling.max_new_tokens=24", "warmup.steps=2", "callbacks.checkpoints.every=1"),
)
"""With demonstrations, so that every step has a gradient."""
REFERENCE = ("algorithm=grpo", "algorithm.mix.rl.objective.kl=0.1")


@pytest.fixture(autouse=True)
def on_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both places that ask for a CUDA device: without torch, and with it."""
    monkeypatch.setattr(quantization, "cuda_device", lambda: torch.device("cpu"))
    monkeypatch.setattr("rltf.setup.quantization.runs_on_cuda", lambda accelerator: True)


@pytest.fixture(params=["causal", "t5"])
def options(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, ...]:
    """Overrides that train adapters above a small base in 4 bits."""
    sizes = {"layers": 2, "d_model": 32, "d_ff": 64}
    policy = tiny_causal(**sizes) if request.param == "causal" else tiny_t5(**sizes)
    policy.export(tmp_path / "base")
    model = ("model=pretrained", "recipe=tiny_t5", f"model.path={tmp_path / 'base'}", "model.max_prompt_tokens=128")
    return (*SMALL, *model, "model.quantization=nf4", "model.lora={r: 4, target_modules: all-linear}")


def weights(folder: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(folder / "policy" / "adapter_model.safetensors")


def test_a_run_trains_adapters_and_goes_on_after_a_stop_to_the_bit(
    composed: Callable[..., DictConfig],
    options: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    options = (*options, *REFERENCE)
    whole = train(composed("train", *options, f"paths.output_dir={tmp_path / 'whole'}"))
    assert whole.summary["iterations"] == 4
    start = whole.module.start_policy
    packed = [(a, b) for a, b in zip(whole.module.policy.parameters(), start.parameters(), strict=True)]
    assert any(quantization.is_quantized(weight) for weight, _ in packed)
    assert all((a is b) == quantization.is_quantized(a) for a, b in packed)  # the reference has adapters of its own

    def dies(self, trainer, module):
        if trainer.max_epochs == 4 and trainer.current_epoch == 2:
            raise RuntimeError("power loss")

    broken = tmp_path / "broken"
    with monkeypatch.context() as patch:
        patch.setattr(PhaseTimer, "on_train_epoch_start", dies)
        with pytest.raises(RuntimeError, match="power loss"):
            train(composed("train", *options, f"paths.output_dir={broken}"))
    stored = read_checkpoint(newest(broken, ("last",)))["state_dict"]
    assert stored
    assert all("lora_" in name for name in stored)
    assert export([str(broken), "--out", str(tmp_path / "stopped")]) == 0
    assert (tmp_path / "stopped" / "adapter_config.json").is_file()
    train(composed("train", *options, f"paths.output_dir={broken}", f"resume={broken}"))
    ours, theirs = weights(tmp_path / "whole"), weights(broken)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert any(weight.any() for name, weight in ours.items() if "lora_B" in name)


def test_the_exported_adapters_are_evaluated_above_the_base_in_4_bits_and_above_the_whole_one(
    composed: Callable[..., DictConfig], options: tuple[str, ...], tmp_path: Path
):
    run = tmp_path / "run"
    result = train(composed("train", *options, "trainer.max_epochs=1", f"paths.output_dir={run}"))
    card = (run / "policy" / "README.md").read_text()
    assert "| training | LoRA adapters, alone here, above a base in 4 bits (nf4)" in card
    assert str(tmp_path) not in card
    small = [option for option in SMALL if option.startswith(("benchmark", "executor", "generation"))]
    held_out = ("evaluation.samples=2", "evaluation.problems=4", "evaluation.ks=[1,2]", "model.max_prompt_tokens=128")
    for name, keys in (("packed", ["model.quantization=nf4"]), ("whole", [])):
        cfg = composed("eval", f"policy={run}", *small, *held_out, *keys, f"paths.output_dir={tmp_path / name}")
        cfg.model.path = str(run / "policy")
        outcome = evaluate(cfg)
        assert outcome is not None
    after = json.loads((run / "summary.json").read_text())["evaluation"]["after"]
    assert result.summary["evaluation"]["after"] == after
