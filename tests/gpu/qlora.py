"""Adapters above a base in 4 bits on a GPU, for check.py: exactness, a run of train.py, and the cost at a size."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest import mock

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import torch
from decoding import TINY, Clock, Sizes, requests_of, seconds
from hydra import compose, initialize_config_dir

from rltf.commands.train import train
from rltf.generation.hf import HFSampler
from rltf.policies.load import pretrained
from rltf.policies.pretrained import TransformersPolicy
from rltf.policies.quantization import is_quantized, weight_count
from rltf.policies.tiny import tiny_causal
from rltf.rollouts.collate import collate_programs
from rltf.rollouts.self_check import check_sampler
from rltf.types import FinishReason, Program, Sample, Sampling

SMALL = {"layers": 2, "d_model": 128, "d_ff": 256}
ROWS = 8
"""Programs that are drawn and learned from."""


def qlora(device: str, sizes: Sizes, clock: Clock) -> dict[str, Any]:
    """Largest differences of log-probs, iterations of a run, and per recomputation of layers what a step costs; or why
    nothing was done."""
    missing = [package for package in ("bitsandbytes", "peft") if find_spec(package) is None]
    if missing:
        print(f"left out: qlora ({' and '.join(missing)} not installed: pip install -e '.[qlora]')", flush=True)
        return {"left_out": f"{' and '.join(missing)} not installed"}
    tiny = sizes is TINY
    results: dict[str, Any] = {}
    with on(device), tempfile.TemporaryDirectory() as folder:
        small = Path(folder) / "small"
        tiny_causal(**SMALL).export(small)
        results["exactness"] = _exactness(small)
        if clock.allows(60, "a run of train.py above a base in 4 bits"):
            results["iterations"] = _iterations(small, Path(folder) / "run", device)
        if clock.allows(90, "a base of 1.2 billion weights in 4 bits"):
            shape = (
                {"layers": 2, "d_model": 128, "d_ff": 256} if tiny else {"layers": 24, "d_model": 2048, "d_ff": 5632}
            )
            large = Path(folder) / "large"
            tiny_causal(heads=4 if tiny else 16, max_prompt_tokens=1024, **shape).export(large)
            for recomputes in (False, True):
                name = "recomputed" if recomputes else "stored"
                results[name] = _cost(large, device, tiny, recomputes)
    return results


@contextmanager
def on(device: str) -> Iterator[None]:
    """Inside, a trial on a CPU does not ask for a CUDA device."""
    if device == "cuda":
        yield
        return
    with (
        mock.patch("rltf.policies.quantization.cuda_device", return_value=torch.device(device)),
        mock.patch("rltf.setup.quantization.runs_on_cuda", return_value=True),
    ):
        yield


def _policy(folder: Path, **options: Any) -> TransformersPolicy:
    lora = {"r": 16, "alpha": 32, "target_modules": "all-linear"}
    policy = pretrained("base", str(folder), max_prompt_tokens=1024, lora=lora, quantization="nf4", **options)
    torch.manual_seed(0)
    for name, weight in policy.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.02)
    return policy


def _exactness(folder: Path) -> dict[str, float | bool]:
    """In float32: log-probs against those of a plain model with bitsandbytes' own unpacked weights, and against those
    of the exported adapters; the sampler's self-check; and whether a step leaves the base as it is."""
    from bitsandbytes.functional import dequantize_4bit

    torch.backends.cuda.matmul.allow_tf32 = False
    policy = _policy(folder)
    device = policy.model.device
    check_sampler(policy, HFSampler(), 16)
    plain = tiny_causal(**SMALL).to(device)
    layers = dict(policy.model.named_modules())
    with torch.no_grad():
        for name, module in plain.model.named_modules():
            layer: Any = layers.get(name)
            if hasattr(layer, "get_delta_weight"):
                weight = layer.get_base_layer().weight
                module.weight.copy_(
                    dequantize_4bit(weight.data, weight.quant_state) + layer.get_delta_weight("default")
                )
    batch = _batch(policy, [list(range(5, 45)), list(range(7, 27))], [list(range(9, 29)), list(range(30, 60))])
    ours, theirs = (_logprobs(model, batch) for model in (policy, plain))
    with tempfile.TemporaryDirectory() as exported:
        policy.export(Path(exported))
        again = _logprobs(pretrained("any", exported, max_prompt_tokens=1024, quantization="nf4"), batch)
    before = [weight.detach().clone() for weight in policy.parameters()]
    policy.train()
    policy.token_logprobs(*batch)[0].sum().backward()
    torch.optim.AdamW([weight for weight in policy.parameters() if weight.requires_grad], lr=1e-3).step()
    moved = [not torch.equal(a, b) for a, b in zip(policy.parameters(), before, strict=True)]
    return {
        "against_unpacked_weights": float((ours - theirs).abs().max()),
        "against_exported_adapters": float((ours - again).abs().max()),
        "a_step_moves_adapters_alone": moved == [weight.requires_grad for weight in policy.parameters()],
    }


def _logprobs(policy: TransformersPolicy, batch: tuple[torch.Tensor, ...]) -> torch.Tensor:
    with torch.no_grad():
        return policy.eval().token_logprobs(*batch)[0]


def _batch(
    policy: TransformersPolicy, prompts: list[list[int]], responses: list[list[int]]
) -> tuple[torch.Tensor, ...]:
    programs = [
        Program(f"p{i}", "", tuple(prompt), tuple(response), (), (0.0,) * len(response), FinishReason.LENGTH)
        for i, (prompt, response) in enumerate(zip(prompts, responses, strict=True))
    ]
    rows = collate_programs(programs, policy.pad_id, policy.prompt_padding).to(policy.model.device)
    return rows.prompt_BS, rows.prompt_mask_BS, rows.response_BT, rows.mask_BT


def _iterations(base: Path, folder: Path, device: str) -> int:
    """Iterations of a run that has a reference policy, whose adapters are exported."""
    overrides = [
        *("debug=default", "logger=none", "report=false", "callbacks.progress=null", "warmup.from=scratch"),
        *("model=pretrained", "recipe=tiny_t5", f"model.path={base}", "model.max_prompt_tokens=128"),
        *("model.quantization=nf4", "model.lora={r: 4, target_modules: all-linear}", "algorithm=grpo"),
        *("algorithm.mix.rl.objective.kl=0.1", "benchmark.sizes={train: 20, validation: 4, test: 4}"),
        *("generation.sampling.max_new_tokens=24", f"paths.output_dir={folder}"),
        f"trainer.accelerator={'gpu' if device == 'cuda' else 'cpu'}",
        f"trainer.precision={'bf16-mixed' if device == 'cuda' else '32-true'}",
    ]
    with initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
        cfg = compose("train", overrides)
    iterations: int = train(cfg).summary["iterations"]
    assert json.loads((folder / "policy" / "adapter_config.json").read_text())["r"] == 4
    return iterations


def _cost(folder: Path, device: str, tiny: bool, recomputes: bool) -> dict[str, Any]:
    source, new = (24, 12) if tiny else (512, 128)
    if device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    policy = _policy(folder, dtype="bfloat16", gradient_checkpointing=recomputes)
    base = [weight for weight in policy.parameters() if not weight.requires_grad]
    weights = sum(map(weight_count, base))
    prompts = [torch.randint(5, 250, (source,)).tolist() for _ in range(ROWS)]
    samples: list[Sample] = []
    sampler, sampling = HFSampler(max_rows=ROWS), Sampling(max_new_tokens=new)

    def draw() -> None:
        with torch.autocast(device, torch.bfloat16):
            samples[:] = sampler.sample(policy, requests_of(prompts, 1), sampling, 0)

    drawing = seconds(device, draw)
    ordered = sorted(samples, key=lambda sample: sample.request)
    batch = _batch(policy, prompts, [list(sample.token_ids) for sample in ordered])
    policy.train()
    optimiser = torch.optim.AdamW([weight for weight in policy.parameters() if weight.requires_grad], lr=1e-5)

    def learn() -> None:
        with torch.autocast(device, torch.bfloat16):
            logprobs = policy.token_logprobs(*batch)[0]
        (-logprobs.sum() / batch[3].sum()).backward()
        optimiser.step()
        optimiser.zero_grad()

    first = seconds(device, learn)
    return {
        "weights_M": round(weights / 1e6, 1),
        "share_in_4_bits": round(sum(weight_count(w) for w in base if is_quantized(w)) / weights, 3),
        "base_MB": round(sum(weight.numel() * weight.element_size() for weight in base) / 1e6, 1),
        "tokens_per_s": round(sum(len(sample.token_ids) for sample in samples) / drawing, 1),
        "first_step_s": round(first, 3),
        "step_s": round(seconds(device, learn), 3),
        "peak_memory_GB": round(torch.cuda.max_memory_allocated() / 1e9, 2) if device == "cuda" else None,
    }
