"""A whole RL iteration against TRL's GRPOTrainer: samples a CPU second, both on the same small Llama.

    python tests/perf/trl.py [--quick] [--pairs 3]          (needs the extra `perf`; without it the JSON says so)

An iteration samples 8 prompts x 8 programs x 64 tokens, gives each a free reward, and takes one optimiser step on all
of them (GRPO, no KL term, AdamW, clipped gradient). Ours is what train.py runs: Lightning Trainer, DataModule,
GenerationCallback, pipeline, engine, buffer, loss mix; only the sandbox is replaced by a reward that costs nothing, as
TRL's is. Both sides run some iterations in turn, in one process on one thread, by the CPU clock; a figure is the median
of paired ratios. The T5 of the same width and size is told apart: it is another model. End tokens are out of reach, so
that every program has its 64 tokens. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import statistics
import sys
import tempfile
import time
import warnings
import zlib
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.remove(str(Path(__file__).resolve().parent))  # where `import trl` would find this file

import lightning.pytorch as L
import torch

from rltf.algorithms.advantages import Advantages
from rltf.algorithms.grpo import GRPO
from rltf.algorithms.loss_mix import LossMix, WeightedObjective
from rltf.benchmarks.mini import Mini
from rltf.callbacks.generation import GenerationCallback
from rltf.generation.engine.engine import Engine
from rltf.policies.pretrained import TransformersPolicy
from rltf.policies.tiny import tiny_causal, tiny_t5
from rltf.rewards.base import RewardStack
from rltf.rewards.binary import Binary
from rltf.rollouts.buffer import RolloutBuffer
from rltf.rollouts.clock import PhaseClock
from rltf.rollouts.pipeline import RolloutPipeline
from rltf.training.datamodule import RolloutDataModule
from rltf.training.module import RLTFModule
from rltf.training.phase import Phase
from rltf.training.plans import EvaluationPlan, StreamPlan
from rltf.types import Job, Outcome, Sampling, Verdict

PROMPTS, SAMPLES, NEW = 8, 8, 64
ROWS = PROMPTS * SAMPLES
SAMPLING = Sampling(max_new_tokens=NEW)
LR = 1e-5


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one pair of 2 iterations")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--iterations", type=int, default=6)
    arguments = parser.parse_args()
    if find_spec("trl") is None:
        print(json.dumps({"skipped": "trl is not installed: pip install -e '.[perf]'"}))
        return
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    pairs, iterations = (1, 2) if arguments.quick else (arguments.pairs, arguments.iterations)
    sides: dict[str, Callable[[int], float]] = {
        "trl": by_trl,
        "llama": lambda count: by_rltf(llama(), count),
        "t5": lambda count: by_rltf(t5(), count),
    }
    for side in sides.values():  # the first iteration pays for imports and memory
        side(1)
    seconds = [{name: side(iterations) for name, side in sides.items()} for _ in range(pairs)]
    result: dict[str, Any] = {
        "threads": 1,
        "samples_an_iteration": ROWS,
        "new_tokens": NEW,
        "iterations": iterations,
        "pairs": pairs,
        "parameters": {"llama": parameters(llama()), "t5": parameters(t5())},
        "samples_per_cpu_second": {
            name: round(iterations * ROWS / statistics.median(pair[name] for pair in seconds), 1) for name in sides
        },
    }
    for name, goal in (("llama", 2.0), ("t5", 4.0)):
        ratios = [pair["trl"] / pair[name] for pair in seconds]
        result[f"{name}_over_trl"] = {
            "ratio": round(statistics.median(ratios), 2),
            "ratios": [round(ratio, 2) for ratio in ratios],
            "goal": goal,
        }
    print(json.dumps(result, indent=2))


def llama() -> TransformersPolicy:
    """1.2 M parameters, d 128."""
    return tiny_causal(layers=5, max_prompt_tokens=128)


def t5() -> TransformersPolicy:
    """As wide and as large."""
    return tiny_t5(d_ff=640, layers=2, max_prompt_tokens=128)


def parameters(policy: TransformersPolicy) -> int:
    """Of the model, tied ones once."""
    return sum(weight.numel() for weight in policy.parameters())


def benchmark() -> Mini:
    """Prompts for both sides."""
    return Mini(sizes={"train": 256, "validation": 1, "test": 1})


class FreeVerdicts:
    """An executor that passes every other text, at no cost."""

    def submit(self, job: Job) -> Future[Verdict]:
        """A future that is done."""
        passed = passes(job.program)
        future: Future[Verdict] = Future()
        future.set_result(Verdict(Outcome.PASSED if passed else Outcome.WRONG_ANSWER, int(passed), 1))
        return future


def passes(text: str) -> bool:
    """A reward that differs within a group."""
    return zlib.crc32(text.encode(errors="replace")) % 2 == 0


def by_rltf(policy: TransformersPolicy, iterations: int) -> float:
    """CPU seconds of so many iterations."""
    policy.end_ids = (-1,)  # never drawn
    pipeline = RolloutPipeline(
        benchmark(),
        policy,
        Engine(),
        FreeVerdicts(),  # type: ignore[arg-type]
        RewardStack({"binary": Binary()}),
        Advantages("group_mean", "std"),
        PhaseClock(),
    )
    held_out = EvaluationPlan(split="validation", problems=1, samples=1, sampling=SAMPLING, seed=1)
    data = RolloutDataModule(
        pipeline.benchmark, policy, pipeline, RolloutBuffer(capacity=ROWS), held_out, held_out, NEW, seed=1
    )
    mix = LossMix(rl=WeightedObjective(GRPO()))
    data.start(StreamPlan(mix=mix, updates=1, accumulate=1, batch_size=ROWS, demonstrations=0))
    module = RLTFModule(policy, SAMPLING, [1])
    module.start(Phase(name="rl", mix=mix, optimizer=partial(torch.optim.AdamW, weight_decay=0.0), lr=LR))
    trainer = L.Trainer(
        accelerator="cpu",
        max_epochs=iterations,
        gradient_clip_val=1.0,
        callbacks=[GenerationCallback(pipeline, SAMPLING, PROMPTS, SAMPLES, lag=0, seed=1)],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        limit_val_batches=0,
        num_sanity_val_steps=0,
        inference_mode=False,
        reload_dataloaders_every_n_epochs=0,
    )
    _ = data.train_problems
    start = time.process_time()
    trainer.fit(module, datamodule=data)
    seconds = time.process_time() - start
    assert trainer.global_step == iterations
    lengths = [len(rollout.program.token_ids) for rollout in data.buffer]
    assert lengths == [NEW] * ROWS
    return seconds


def by_trl(iterations: int) -> float:
    """CPU seconds of so many iterations of GRPOTrainer."""
    import pyarrow as pa
    from datasets import Dataset
    from transformers import LlamaForCausalLM
    from transformers.trainer_callback import PrinterCallback
    from trl import GRPOConfig, GRPOTrainer

    policy, tasks = llama(), benchmark()
    model = LlamaForCausalLM(policy.model.config)  # a policy's own has layers of this project
    model.load_state_dict(policy.model.state_dict())
    drawn: list[int] = []

    def reward(completions: list[str], completion_ids: list[list[int]], **_: Any) -> list[float]:
        drawn.extend(len(ids) for ids in completion_ids)
        return [float(passes(text)) for text in completions]

    prompts = [tasks.prompt(problem) for problem in tasks.problems("train")]
    texts = [prompt.head + prompt.question + prompt.tail + prompt.answer for prompt in prompts]
    with tempfile.TemporaryDirectory() as folder:
        trainer = GRPOTrainer(
            model,
            reward_funcs=reward,
            args=GRPOConfig(
                output_dir=folder,
                use_cpu=True,
                bf16=False,
                gradient_checkpointing=False,
                per_device_train_batch_size=ROWS,
                num_generations=SAMPLES,
                max_completion_length=NEW,
                generation_kwargs={"min_new_tokens": NEW},
                steps_per_generation=1,
                max_steps=iterations,
                learning_rate=LR,
                lr_scheduler_type="constant",
                max_grad_norm=1.0,
                loss_type="grpo",
                beta=0.0,
                logging_steps=1000,
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
            ),
            train_dataset=Dataset(pa.table({"prompt": texts}), fingerprint="prompts"),
            processing_class=policy.tokenizer,
        )
        trainer.remove_callback(PrinterCallback)
        start = time.process_time()
        trainer.train()
        seconds = time.process_time() - start
    assert drawn == [NEW] * ROWS * iterations, (len(drawn), set(drawn))
    return seconds


if __name__ == "__main__":
    main()
