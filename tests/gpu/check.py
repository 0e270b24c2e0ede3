"""Everything that needs a GPU, unattended: `make gpu-check`. Meant to take less than 8 minutes; not tried on one.

    python tests/gpu/check.py [--out FILE] [--seconds 440] [--device cpu --tiny]

Parts; one that fails is reported and the others go on. What would begin after `--seconds`, or is expected to end after
them, is left out, and the output says so. Expected on an H100, from floors: exactness 20 s, generation 150 s (of which
`generate` 20 s at 64 and 40 s at 256 rows, the engine's warm-up and graphs 30 s), iteration 250 s.

- `exactness`: float32 greedy tokens of the engine against transformers' `generate`, and stored against recomputed
  log-probs, for T5, Llama, CodeGen and the family of CodeT5+ 2B: by captured steps, in two calls with other weights,
  and kernel by kernel.
- `generation`: a T5 of CodeT5-770M's shape, bfloat16, source 800, new 512, 16 samples a prompt, at 64, 256 and 1,024
  rows: tokens a second against `generate` at the same number of rows (64 and 256), time of a step against the bytes it
  must move (weights, shared cross keys and values, own ones at the mean position) at 3.0 TB/s, the same without graphs,
  and four times as many prompts with realistic lengths.
- `codet5p`: CodeT5+ 2B's shape with random weights: 32 programs of 256 tokens after prompts of 800 are drawn and
  learned from, with `model.train=encoder+cross` and with `all`: tokens a second, time of a step, peak of memory.
- `qlora`: adapters above a base in 4 bits, where bitsandbytes is installed: log-probs against a plain model with the
  unpacked weights, a run of train.py, and the cost of 1.2 billion weights.
- `iteration`: whole iterations of train.py's own loop, with three switches turned off one after the other: the engine
  (`generation=hf`), the shared encoder, judging beside training (`rollouts.lag=0`).

`--tiny` shrinks every shape, so that the script itself is tried on a CPU.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import torch
from codet5p import codet5p
from decoding import TINY, BarePolicy, Clock, Sizes, generation, requests_of
from hydra import compose, initialize_config_dir
from models import codegen_model, codet5p_model, greedy_by_generate, llama_model, t5_model
from qlora import qlora

from rltf.commands.train import train
from rltf.generation.engine.engine import Engine
from rltf.policies.compat import decoder_prompt
from rltf.policies.seq2seq import Seq2SeqPolicy
from rltf.types import Sampling


def exactness(device: str, sizes: Sizes, clock: Clock) -> dict[str, Any]:
    """Per family and way to step: prompts whose greedy tokens differ, and the largest difference of log-probs."""
    torch.backends.cuda.matmul.allow_tf32 = False
    models = {
        "t5": t5_model(512, 64),
        "llama": llama_model(512, 64),
        "codegen": codegen_model(512, 64),
        "codet5p": codet5p_model(512, 64),
    }
    differences = {}
    for name, model in models.items():
        torch.manual_seed(0)
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.1)
        model = model.to(device).eval()
        prompts = [torch.randint(3, 512, (length,)).tolist() for length in (3, 9, 17, 30)]
        captured, plain = Engine(max_rows=6, graphs=True), Engine(max_rows=6, graphs=False)
        for way, engine in (("graphs", captured), ("graphs again, other weights", captured), ("kernels", plain)):
            if way != "graphs":
                with torch.no_grad():
                    model.get_output_embeddings().weight.mul_(0.9)
            differences[f"{name}, {way}"] = _compare_samples(model, engine, prompts, device)
    return differences


def _compare_samples(model: Any, engine: Engine, prompts: list[list[int]], device: str) -> dict[str, Any]:
    samples = engine.sample(
        BarePolicy(model),  # type: ignore[arg-type]
        requests_of(prompts, 2, True),
        Sampling(max_new_tokens=96),
        0,
    )
    wrong, worst = 0, 0.0
    for sample in samples:
        prompt = tuple(prompts[sample.request])
        ids = torch.tensor([prompt], device=device)
        drawn = torch.tensor([sample.token_ids], device=device)
        if sample.draw == -1:
            theirs = greedy_by_generate(model, prompt, max_new_tokens=96)
            wrong += theirs[: len(sample.token_ids)] != list(sample.token_ids)
        with torch.no_grad():
            if model.config.is_encoder_decoder:
                start = torch.tensor([decoder_prompt(model, prompt)], device=device)
                read = torch.cat([start, drawn[:, :-1]], 1)
                logits = model(input_ids=ids, decoder_input_ids=read).logits[0, start.shape[1] - 1 :]
            else:
                logits = model(torch.cat([ids, drawn], 1)).logits[0, ids.shape[1] - 1 : -1]
        recomputed = logits.float().log_softmax(-1).gather(-1, drawn[0][:, None])[:, 0]
        worst = max(worst, float((recomputed - torch.tensor(sample.logprobs, device=device)).abs().max()))
    return {"greedy_prompts_that_differ": wrong, "largest_logprob_difference": worst}


def iteration(device: str, sizes: Sizes, clock: Clock) -> dict[str, Any]:
    """Seconds of a run of train.py's loop without warm-up, with everything on, and with each switch off."""
    tiny = sizes is TINY
    shape = [] if tiny else ["model.d_model=1024", "model.d_ff=4096", "model.heads=16", "model.layers=12"]
    small = ["rollouts.problems=4", "benchmark.sizes={train: 40, validation: 8, test: 8}"] if tiny else []
    switches = {"all on": [], "hf generate": ["generation=hf"], "repeated encoder": [], "blocking": ["rollouts.lag=0"]}
    switches["all off"] = ["generation=hf", "rollouts.lag=0"]
    seconds: dict[str, Any] = {}
    longest = 0.0
    for name, extra in switches.items():
        if not clock.allows(1.5 * longest, f"iterations with {name}"):
            continue
        start = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder, initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
            overrides = [
                *shape,
                f"paths.output_dir={folder}",
                f"trainer.accelerator={'gpu' if device == 'cuda' else 'cpu'}",
                f"trainer.precision={'bf16-mixed' if device == 'cuda' else '32-true'}",
                "trainer.max_epochs=3",
                "warmup.steps=0",
                "logger=none",
                "callbacks.progress=null",
                "callbacks.checkpoints=null",
                "callbacks.rollout_writer.table_rows=0",
                "report=false",
                "evaluation={problems: 2, samples: 1, ks: [1], greedy: false, validation_problems: 2}",
                f"generation.sampling.max_new_tokens={24 if tiny else 512}",
                *small,
                *extra,
            ]
            cfg = compose("train", overrides)
            with repeated_prompts(name in ("repeated encoder", "all off")):
                outcome = train(cfg)
            spent = outcome.summary["seconds"]
            seconds[name] = {phase: spent[phase] for phase in ("generation", "execution_wait", "training")}
            seconds[name]["iteration"] = round(sum(seconds[name].values()) / outcome.summary["iterations"], 3)
        longest = max(longest, time.perf_counter() - start)
        print(name, json.dumps(seconds[name]), flush=True)
    usual = seconds["all on"]["iteration"]
    seconds["gain"] = {name: round(seconds[name]["iteration"] / usual, 2) for name in switches if name in seconds}
    return seconds


@contextmanager
def repeated_prompts(active: bool) -> Iterator[None]:
    """Inside, policies that are made run a prompt anew for each of its responses."""
    original = Seq2SeqPolicy.__init__

    def make(self: Seq2SeqPolicy, *positional: Any, **keywords: Any) -> None:
        original(self, *positional, **{**keywords, "share_prompts": not active})

    with mock.patch.object(Seq2SeqPolicy, "__init__", make):
        yield


def main() -> None:
    """Runs every part; exit code 1 if one failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="JSON file to write")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true", help="small shapes, to try the script")
    parser.add_argument("--only", default="", help="parts whose name holds this")
    parser.add_argument("--seconds", type=float, default=440, help="time for everything")
    arguments = parser.parse_args()
    if arguments.device == "cuda" and not torch.cuda.is_available():
        sys.exit("error: no CUDA device: run this on a machine with a GPU, or try the script with --device cpu --tiny")
    name = torch.cuda.get_device_name() if arguments.device == "cuda" else "CPU"
    results: dict[str, Any] = {"device": name, "torch": torch.__version__}
    failed = False
    clock = Clock(arguments.seconds)
    for part in (exactness, generation, codet5p, qlora, iteration):
        if arguments.only not in part.__name__:
            continue
        start = time.perf_counter()
        try:
            results[part.__name__] = part(arguments.device, TINY if arguments.tiny else Sizes(), clock)
        except Exception:
            failed = True
            results[part.__name__] = {"error": traceback.format_exc(limit=3)}
        results[f"{part.__name__}_seconds"] = round(time.perf_counter() - start, 1)
    text = json.dumps(results, indent=1)
    print(text)
    if arguments.out is not None:
        arguments.out.write_text(text + "\n")
    sys.exit(int(failed))


if __name__ == "__main__":
    main()
