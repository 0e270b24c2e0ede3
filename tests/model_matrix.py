"""Measures every family of transformers that a user may bring, and writes the table of docs/models.md.

    python tests/model_matrix.py [--only NAME ...] [--write]

Each row is a model of two layers with random weights, far larger than those of training so that every term shows, and a
tokenizer trained on a few lines. It is held to transformers' own forward pass of one row, without padding or cache, and
trained for two iterations. Needs the extra `lora`; about five minutes of one core.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import logging
import math
import os
import re
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from families import MATRIX
from family_policies import (
    NEW,
    PLAIN,
    PROMPT_TOKENS,
    SAMPLING,
    batch_logprobs,
    exact,
    gap,
    generated,
    load_policy,
    requests_of,
    save_policy,
)
from hydra import compose, initialize_config_dir
from torch import Tensor

from rltf.generation.engine.engine import Engine
from rltf.generation.hf import HFSampler
from rltf.policies.compat import checkpoint_activations
from rltf.policies.decoding.families import DECODERS
from rltf.policies.pretrained import TransformersPolicy
from rltf.rollouts.self_check import check_sampler
from rltf.types import Request, Sample

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "models.md"
TABLE = re.compile(r"(<!-- measured: tests/model_matrix\.py -->\n).*(<!-- end -->)", re.DOTALL)
LARGEST_GAP = 1e-4
"""Nats: the most that two computations of a log-prob may differ by in float32."""
QUIET = [
    *("debug=default", "logger=none", "callbacks.progress=null", "callbacks.checkpoints=null", "report=false"),
    *("executor.workers=1", "warmup.steps=2", "warmup.from=scratch", "generation.sampling.max_new_tokens=64"),
    "benchmark.sizes={train: 20, validation: 4, test: 4}",
]


@dataclass(frozen=True, slots=True)
class Row:
    """What was measured of one family."""

    name: str
    model: str
    generation: str
    """`native`, `hf` or `refused`."""
    sentence: str = ""
    """Of the refusal."""
    greedy: bool = False
    """Greedy programs of every sampler are those of `generate`, and of one row's logits."""
    stored: float = math.inf
    """Largest difference of a sampler's log-prob from that of one row's logits, nats."""
    trained: float = math.inf
    """Largest one of training's, in training mode, over batches with shared and with own prompts, nats."""
    dropout: float = math.inf
    """Largest difference of training mode from evaluation once RL begins, nats."""
    recomputed: float = math.inf
    """Largest difference of a gradient with recomputed activations, as a share of the largest entry."""
    lora: float = math.inf
    """Largest difference of merged, exported and re-read adapters from the adapters, nats; by default targets."""
    iterations: int = 0
    """Of training that ended well, of two."""

    def faults(self) -> list[str]:
        """Names of the measures that are not as they should be."""
        if self.generation == "refused":
            return [] if self.sentence else ["sentence"]
        gaps = ("stored", "trained", "dropout", "recomputed", "lora")
        bad = [name for name in gaps if not getattr(self, name) <= LARGEST_GAP]
        return bad + [
            name for name, good in (("greedy", self.greedy), ("iterations", self.iterations == 2)) if not good
        ]

    def cells(self) -> str:
        """A line of the table."""
        if self.generation == "refused":
            return f"| `{self.name}` | {self.model} | refused | | | | | | | {self.sentence} |"
        gaps = " | ".join(f"{getattr(self, g):.0e}" for g in ("stored", "trained", "dropout", "recomputed", "lora"))
        greedy, trains = ("yes" if good else "**no**" for good in (self.greedy, self.iterations == 2))
        return f"| `{self.name}` | {self.model} | {self.generation} | {greedy} | {gaps} | {trains} |"


def measure(name: str, folder: Path) -> Row:
    """Measures one family.

    Args:
        name: a key of `MATRIX`.
        folder: an empty one.
    """
    model_class = MATRIX[name][0].removesuffix("ForConditionalGeneration").removesuffix("ForCausalLM")
    model_class = model_class.removesuffix("LMHeadModel")
    try:
        save_policy(name, folder / "policy")
        policy = load_policy(folder / "policy")
        native = any(decoder.fits(policy.model) for decoder in DECODERS)
        samplers: list[Any] = [HFSampler(max_rows=5), *([Engine(max_rows=5)] if native else [])]
        for sampler in samplers:
            check_sampler(policy, sampler, NEW)
    except ValueError as error:
        return Row(name, model_class, "refused", str(error).replace("|", "\\|").replace(str(folder), "FOLDER"))
    requests = requests_of(policy)
    oracle = {i: generated(policy, request) for i, request in enumerate(requests)}
    greedy, stored = True, 0.0
    for sampler in samplers:
        samples = list(sampler.sample(policy, requests, SAMPLING, seed=1))
        greedy &= all(list(s.token_ids) == oracle[s.request] for s in samples if s.draw == -1)
        drawn = [sample for sample in samples if sample.draw >= 0]
        stored = max(stored, gap(torch.tensor([p for s in drawn for p in s.logprobs]), exact(policy, requests, drawn)))
    trained, dropout = training_gaps(policy, requests, drawn)
    recomputed = recomputed_gap(policy, requests, drawn)
    lora = adapter_gap(folder, requests, drawn)
    iterations = trained_iterations(folder, "native" if native else "hf")
    generation = "native" if native else "hf"
    return Row(name, model_class, generation, "", greedy, stored, trained, dropout, recomputed, lora, iterations)


def training_gaps(policy: TransformersPolicy, requests: list[Request], samples: list[Sample]) -> tuple[float, float]:
    """`Row.trained` and `Row.dropout`."""
    expected = exact(policy, requests, samples)
    evaluated = batch_logprobs(policy.eval(), requests, samples)
    policy.train().start_phase(supervised=False)
    gaps = []
    for shares in (True, False):
        policy.share_prompts = shares
        gaps.append(batch_logprobs(policy, requests, samples))
    policy.share_prompts = True
    return max(gap(trained, expected) for trained in gaps), gap(gaps[0], evaluated)


def recomputed_gap(policy: TransformersPolicy, requests: list[Request], samples: list[Sample]) -> float:
    """`Row.recomputed`; the second time, what the model does with caches is known."""
    weights = torch.linspace(-1, 1, sum(len(sample.token_ids) for sample in samples))

    def gradient() -> Tensor:
        policy.zero_grad()
        (batch_logprobs(policy, requests, samples) * weights).sum().backward()
        return torch.cat([p.grad.flatten() for p in policy.parameters() if p.grad is not None])

    expected = gradient()
    checkpoint_activations(policy.model)
    return max(gap(gradient(), expected) for _ in range(2)) / float(expected.abs().max())


def adapter_gap(folder: Path, requests: list[Request], samples: list[Sample]) -> float:
    """`Row.lora`, with adapters on peft's default targets of the family, or all linear layers."""
    policy = load_policy(folder / "policy", lora={"r": 4}).eval()
    torch.manual_seed(1)
    with torch.no_grad():
        for name, weight in policy.named_parameters():
            if "lora_B" in name:
                weight.normal_(std=0.05)
        # Tokens of other weights may lie outside what these truncate to.
        adapted, plain = (
            batch_logprobs(p, requests, samples, PLAIN) for p in (policy, load_policy(folder / "policy").eval())
        )
        assert gap(adapted, plain) > 1e-3, "adapters change nothing"
        with policy.merged_adapters():
            merged = [exact(policy, requests, samples, PLAIN)]
        policy.export(folder / "adapted")
        for source in (folder / "adapted", folder / "adapted" / "adapter"):
            merged.append(batch_logprobs(load_policy(source).eval(), requests, samples, PLAIN))
    return max(gap(logprobs, adapted) for logprobs in merged)


def trained_iterations(folder: Path, generation: str) -> int:
    """Iterations of a run, warm-up and evaluations included; fewer than two where it ended in an error."""
    from rltf.commands.train import train

    model = ["model=pretrained", "recipe=tiny_t5", "model.name=tiny", f"model.path={folder / 'policy'}"]
    run = [f"model.max_prompt_tokens={PROMPT_TOKENS}", f"generation={generation}", f"paths.output_dir={folder / 'run'}"]
    with initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
        cfg = compose("train", [*QUIET, *model, *run])
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        result = train(cfg)
    return int(result.module.trainer.current_epoch)


def table(rows: list[Row]) -> str:
    """The rows as Markdown."""
    head = (
        "| name | model | `generation=` | greedy | stored | training | dropout 0 | recomputed | LoRA | two iterations |"
    )
    return "\n".join([head, "|---" * head.count(" | ") + "|---|", *(row.cells() for row in rows)]) + "\n"


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=list(MATRIX), metavar="NAME", help="rows, by their names")
    parser.add_argument("--write", action="store_true", help="put the table into docs/models.md")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    rows = []
    for name in arguments.only:
        with tempfile.TemporaryDirectory() as scratch:
            rows.append(measure(name, Path(scratch)))
        print(rows[-1].cells(), *rows[-1].faults(), round(sum(os.times()[:4])), file=sys.stderr)
    if arguments.write:
        text = PAGE.read_text("utf-8")
        PAGE.write_text(TABLE.sub(lambda match: match[1] + table(rows) + match[2], text), "utf-8")
    else:
        print(table(rows))
    seconds = sum(os.times()[:4])
    print(f"{seconds:.0f} CPU seconds", file=sys.stderr)
    sys.exit(any(row.faults() for row in rows))


if __name__ == "__main__":
    main()
