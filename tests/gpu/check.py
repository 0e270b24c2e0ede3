"""Everything that needs a GPU, unattended: `make gpu-check`. Meant to take less than 8 minutes; not tried on one.

    python tests/gpu/check.py [--out FILE] [--device cpu --tiny]

Parts, each with its own time limit in mind; one that fails is reported and the others go on:

- `exactness`: float32 greedy tokens of the engine against transformers' `generate`, and stored against recomputed
  log-probs, for T5, Llama and CodeGen.
- `generation`: a T5 of CodeT5-770M's shape, bfloat16, source 800, new 512, 16 samples a prompt, at 64, 256 and 1,024
  rows: tokens a second against `generate` at the same number of rows (64 and 256), time of a step against the bytes it
  must move (weights, shared cross keys and values, own ones at the mean position) at 3.0 TB/s.
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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import torch
from hydra import compose, initialize_config_dir
from transformers import (
    CodeGenConfig,
    CodeGenForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
)

from rltf.generation.engine import Engine
from rltf.main import train
from rltf.policies.seq2seq import Seq2SeqPolicy
from rltf.types import Request, Sampling

EOS, PAD = 1, 0
BYTES_A_SECOND = 3.0e12
"""What an H100 of this kind reads in practice."""


@dataclass(frozen=True)
class Sizes:
    """Of the `generation` part."""

    width: int = 1024
    inner: int = 4096
    heads: int = 16
    layers: int = 24
    vocabulary: int = 32_100
    source: int = 800
    new: int = 512
    samples: int = 16
    rows: tuple[int, ...] = (64, 256, 1024)
    compared: tuple[int, ...] = (64, 256)


TINY = Sizes(64, 128, 4, 2, 512, 24, 12, 4, (8, 16), (8,))


class BarePolicy:
    """What the engine asks of a policy when no request has stop strings."""

    def __init__(self, model: Any) -> None:
        self.model, self.eos_id, self.pad_id = model, EOS, PAD


def requests_of(prompts: list[list[int]], draws: int, greedy: bool = False) -> list[Request]:
    """One request a prompt."""
    return [Request(f"p{i}", tuple(ids), tuple(range(draws)), greedy) for i, ids in enumerate(prompts)]


def seconds(device: str, work: Callable[[], Any]) -> float:
    """Wall seconds, the device's queue included."""
    if device == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    work()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def exactness(device: str, sizes: Sizes) -> dict[str, Any]:
    """Per family: prompts whose greedy tokens differ, and the largest difference of log-probs."""
    torch.backends.cuda.matmul.allow_tf32 = False
    common = {"vocab_size": 512, "pad_token_id": PAD, "eos_token_id": EOS}
    t5 = {"d_model": 64, "d_kv": 16, "d_ff": 128, "num_layers": 2, "num_heads": 4, "decoder_start_token_id": PAD}
    llama = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
    codegen = {"n_positions": 256, "n_embd": 64, "n_layer": 2, "n_head": 4, "rotary_dim": 8}
    models = {
        "t5": T5ForConditionalGeneration(T5Config(**common, **t5)),
        "llama": LlamaForCausalLM(LlamaConfig(**common, **llama, num_key_value_heads=2)),
        "codegen": CodeGenForCausalLM(CodeGenConfig(**common, **codegen)),
    }
    found = {}
    for name, model in models.items():
        torch.manual_seed(0)
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.1)
        model = model.to(device).eval()
        prompts = [torch.randint(3, 512, (length,)).tolist() for length in (3, 9, 17, 30)]
        engine = Engine(slots=6).sample(
            BarePolicy(model), requests_of(prompts, 2, True), Sampling(max_new_tokens=24), 0
        )  # type: ignore[arg-type]
        wrong, worst = 0, 0.0
        for sample in engine:
            ids = torch.tensor([prompts[sample.request]], device=device)
            drawn = torch.tensor([sample.token_ids], device=device)
            if sample.draw == -1:
                theirs = model.generate(input_ids=ids, do_sample=False, max_new_tokens=24)[0]
                theirs = theirs[1:] if name == "t5" else theirs[ids.shape[1] :]
                wrong += theirs.tolist()[: len(sample.token_ids)] != list(sample.token_ids)
            with torch.no_grad():
                if name == "t5":
                    shifted = torch.cat([torch.full_like(ids[:, :1], PAD), drawn[:, :-1]], 1)
                    logits = model(input_ids=ids, decoder_input_ids=shifted).logits[0]
                else:
                    logits = model(torch.cat([ids, drawn], 1)).logits[0, ids.shape[1] - 1 : -1]
            again = logits.float().log_softmax(-1).gather(-1, drawn[0][:, None])[:, 0]
            worst = max(worst, float((again - torch.tensor(sample.logprobs, device=device)).abs().max()))
        found[name] = {"greedy_prompts_that_differ": wrong, "largest_logprob_difference": worst}
    return found


def generation(device: str, sizes: Sizes) -> list[dict[str, Any]]:
    """Speed at each number of rows."""
    torch.backends.cuda.matmul.allow_tf32 = True
    head = sizes.width // sizes.heads
    config = T5Config(
        vocab_size=sizes.vocabulary,
        d_model=sizes.width,
        d_kv=head,
        d_ff=sizes.inner,
        num_layers=sizes.layers,
        num_heads=sizes.heads,
        decoder_start_token_id=PAD,
        pad_token_id=PAD,
        eos_token_id=EOS,
    )
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    model = T5ForConditionalGeneration(config).to(device=device, dtype=dtype).eval()
    with torch.no_grad():
        model.get_output_embeddings().weight[EOS] = 0  # random weights hardly ever end: all rows run to the limit
    results = []
    for rows in sizes.rows:
        prompts = [torch.randint(3, sizes.vocabulary, (sizes.source,)).tolist() for _ in range(rows // sizes.samples)]
        engine = Engine(slots=rows, max_cache_tokens=1 << 22)

        def ours(new: int, prompts: list[list[int]] = prompts, engine: Engine = engine) -> int:
            wanted = requests_of(prompts, sizes.samples)
            samples = engine.sample(BarePolicy(model), wanted, Sampling(max_new_tokens=new), 0)  # type: ignore[arg-type]
            return sum(len(sample.token_ids) for sample in samples)

        ours(4)
        took = seconds(device, lambda: ours(sizes.new))
        report = engine.report
        assert report is not None
        token = 2 * sizes.heads * head * sizes.layers * dtype.itemsize
        decoder = sizes.layers * (6 * sizes.width**2 + 2 * sizes.width * sizes.inner) + sizes.vocabulary * sizes.width
        moved = dtype.itemsize * decoder + len(prompts) * token * sizes.source + rows * token * sizes.new / 2
        result: dict[str, Any] = {
            "rows": rows,
            "tokens_per_second": round(report.tokens / took),
            "milliseconds_a_step": round(1e3 * took / report.steps, 3),
            "floor_milliseconds": round(1e3 * moved / BYTES_A_SECOND, 3),
            "step_over_floor": round(took / report.steps / (moved / BYTES_A_SECOND), 2),
            "terabytes_per_second": round(moved * report.steps / took / 1e12, 3),
            "row_steps_over_needed": round(report.row_steps / report.tokens, 3),
        }
        if rows in sizes.compared:
            ids = torch.tensor(prompts, device=device)
            options = {"do_sample": True, "top_k": 0, "num_return_sequences": sizes.samples}

            def theirs(new: int, ids: torch.Tensor = ids, options: dict[str, Any] = options) -> Any:
                return model.generate(input_ids=ids, min_new_tokens=new, max_new_tokens=new, **options)

            theirs(2)
            rate = rows * sizes.new / seconds(device, lambda: theirs(sizes.new))
            result["generate_tokens_per_second"] = round(rate)
            result["over_generate"] = round(report.tokens / took / rate, 2)
        if device == "cuda":
            result["peak_gigabytes"] = round(torch.cuda.max_memory_allocated() / 2**30, 1)
        results.append(result)
        print(json.dumps(result), flush=True)
    return results


def iteration(device: str, sizes: Sizes) -> dict[str, Any]:
    """Seconds of a run of train.py's loop without warm-up, with everything on, and with each switch off."""
    tiny = sizes is TINY
    shape = [] if tiny else ["model.d_model=1024", "model.d_ff=4096", "model.heads=16", "model.layers=12"]
    small = ["rollouts.problems=4", "benchmark.sizes={train: 40, validation: 8, test: 8}"] if tiny else []
    switches = {"all on": [], "hf generate": ["generation=hf"], "repeated encoder": [], "blocking": ["rollouts.lag=0"]}
    switches["all off"] = ["generation=hf", "rollouts.lag=0"]
    found: dict[str, Any] = {}
    for name, extra in switches.items():
        with tempfile.TemporaryDirectory() as folder, initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
            overrides = [
                *shape,
                f"paths.output_dir={folder}",
                f"trainer.accelerator={'gpu' if device == 'cuda' else 'cpu'}",
                f"trainer.precision={'bf16-mixed' if device == 'cuda' else '32-true'}",
                "trainer.max_epochs=3",
                "warmup.steps=0",
                "logger=none",
                "callbacks={progress: false, checkpoint: false, report: false, table_rows: 0}",
                "evaluation={problems: 2, samples: 1, ks: [1], greedy: false, validation_problems: 2}",
                f"generation.sampling.max_new_tokens={24 if tiny else 512}",
                *small,
                *extra,
            ]
            cfg = compose("train", overrides)
            with repeated_prompts(name in ("repeated encoder", "all off")):
                outcome = train(cfg)
            spent = outcome.summary["seconds"]
            found[name] = {phase: spent[phase] for phase in ("generation", "execution_wait", "training")}
            found[name]["iteration"] = round(sum(found[name].values()) / outcome.summary["iterations"], 3)
        print(name, json.dumps(found[name]), flush=True)
    found["gain"] = {
        name: round(found[name]["iteration"] / found["all on"]["iteration"], 2) for name in switches if name != "all on"
    }
    return found


@contextmanager
def repeated_prompts(active: bool) -> Iterator[None]:
    """Inside, policies that are made run a prompt anew for each of its responses."""
    made = Seq2SeqPolicy.__init__

    def make(self: Seq2SeqPolicy, *positional: Any, **keywords: Any) -> None:
        made(self, *positional, **{**keywords, "share_prompts": not active})

    with mock.patch.object(Seq2SeqPolicy, "__init__", make):
        yield


def main() -> None:
    """Runs every part; exit code 1 if one failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="JSON file to write")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true", help="small shapes, to try the script")
    parser.add_argument("--only", default="", help="parts whose name holds this")
    arguments = parser.parse_args()
    if arguments.device == "cuda" and not torch.cuda.is_available():
        sys.exit("error: no CUDA device: run this on a machine with a GPU, or try the script with --device cpu --tiny")
    name = torch.cuda.get_device_name() if arguments.device == "cuda" else "CPU"
    results: dict[str, Any] = {"device": name, "torch": torch.__version__}
    failed = False
    for part in (exactness, generation, iteration):
        if arguments.only not in part.__name__:
            continue
        start = time.perf_counter()
        try:
            results[part.__name__] = part(arguments.device, TINY if arguments.tiny else Sizes())
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
