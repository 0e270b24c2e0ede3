"""What Lightning costs a step: the same step, 40 metrics, through `RLTFModule` and Trainer, and in a raw PyTorch loop.

Prints one JSON object: milliseconds a step of both, their paired ratio (median over rounds) and their difference. The
raw loop gathers the same 40 metrics and writes the same CSV rows. Process CPU time, one thread."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import lightning.pytorch as L
import torch
from torch.utils.data import DataLoader

from rltf.algorithms.loss_mix import LossMix, WeightedObjective
from rltf.algorithms.objective import BatchLogprobs
from rltf.algorithms.supervised import Supervised
from rltf.callbacks.progress import Progress
from rltf.commands.start import quiet_libraries
from rltf.loggers.csv_file import CSVMetrics
from rltf.policies.tiny import tiny_t5
from rltf.rollouts.collate import collate_demonstrations
from rltf.training.datamodule import RolloutDataModule
from rltf.training.micro_batches import Stream, TrainBatch
from rltf.training.module import RLTFModule
from rltf.training.phase import Phase
from rltf.training.plans import StreamPlan
from rltf.types import RolloutBatch, Sampling

METRICS = 40


class Extra(L.Callback):
    """Fills a step's metrics up to 40."""

    def on_train_batch_start(
        self, trainer: L.Trainer, module: L.LightningModule, batch: object, batch_idx: int
    ) -> None:
        """Adds what the module does not measure by itself."""
        module._step_metrics.add({f"extra/{i}": torch.tensor(float(i)) for i in range(METRICS - 6)})


def batches(count: int, rows: int) -> list[RolloutBatch]:
    """Random demonstrations of 64 + 64 tokens."""
    generator = torch.Generator().manual_seed(0)

    def ids() -> list[int]:
        return torch.randint(3, 200, (64,), generator=generator).tolist()

    return [collate_demonstrations([(ids(), ids()) for _ in range(rows)], 0, "right") for _ in range(count)]


def through_lightning(data: list[RolloutBatch], folder: Path) -> float:
    """CPU seconds a step."""
    module = RLTFModule(tiny_t5(), Sampling(), [1])
    mix = LossMix(supervised=WeightedObjective(Supervised()))
    module.start(Phase(name="rl", mix=mix, optimizer=partial(torch.optim.AdamW, weight_decay=0.0), lr=1e-4))

    class Data(RolloutDataModule):
        """Has these batches in place of a benchmark's."""

        def __init__(self) -> None:
            L.LightningDataModule.__init__(self)
            rows = len(data[0].mask_BT)
            self.plan = StreamPlan(mix=mix, updates=len(data), accumulate=1, batch_size=0, demonstrations=rows)
            self.iteration = 0

        def train_dataloader(self) -> DataLoader[TrainBatch]:
            def items() -> Iterator[TrainBatch]:
                yield from (TrainBatch({"supervised": b}, mix.counts({"supervised": b})) for b in data)

            return DataLoader(Stream(len(data), items), batch_size=None)

    class Clock(L.Callback):
        """First and last step, without set-up."""

        def on_train_batch_start(self, trainer: L.Trainer, *args: object) -> None:
            if trainer.global_step == 2:
                self.begin = time.process_time()

        def on_train_batch_end(self, trainer: L.Trainer, *args: object) -> None:
            self.end = time.process_time()

    clock = Clock()
    trainer = L.Trainer(
        max_epochs=1,
        accelerator="cpu",
        logger=[CSVMetrics(folder)],
        callbacks=[clock, Extra(), Progress()],
        gradient_clip_val=1.0,
        log_every_n_steps=10,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        limit_val_batches=0,
    )
    trainer.fit(module, datamodule=Data())
    return (clock.end - clock.begin) / (len(data) - 2)


def raw_loop(data: list[RolloutBatch], folder: Path) -> float:
    """CPU seconds a step."""
    policy = tiny_t5().train()
    mix = LossMix(supervised=WeightedObjective(Supervised()))
    optimizer = torch.optim.AdamW(policy.parameters(), lr=1e-4, weight_decay=0.0, fused=True)
    logger = CSVMetrics(folder)
    gathered: list[dict[str, torch.Tensor]] = []
    begin = 0.0
    for step, b in enumerate(data):
        if step == 2:
            begin = time.process_time()
        logprobs, entropy = policy.token_logprobs(b.prompt_BS, b.prompt_mask_BS, b.response_BT, b.mask_BT)
        mixed = mix({"supervised": BatchLogprobs(b, logprobs)})
        optimizer.zero_grad()
        mixed.total.backward()
        norm = torch.nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
        optimizer.step()
        row = {**mixed.metrics, "entropy": entropy.sum() / b.mask_BT.sum(), "norm": norm}
        gathered.append(row | {f"extra/{i}": torch.tensor(float(i)) for i in range(METRICS - 6)})
        if (step + 1) % 10 == 0:
            logger.log_metrics(
                {k: float(torch.stack([g[k].detach().float() for g in gathered]).mean()) for k in row}, step=step
            )
            gathered.clear()
    return (time.process_time() - begin) / (len(data) - 2)


def main() -> None:
    """Prints the JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--quick", action="store_true", help="the small step alone")
    arguments = parser.parse_args()
    quiet_libraries()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    result: dict[str, object] = {}
    for name, rows in {"step_100ms": 16, "step_small": 1}.items():
        if arguments.quick and name == "step_100ms":
            continue
        data = batches(arguments.steps, rows)
        pairs = []
        for _ in range(arguments.rounds):
            # standard output is for the JSON, and the live line is drawn there
            with redirect_stdout(sys.stderr), TemporaryDirectory() as a, TemporaryDirectory() as b:
                pairs.append((through_lightning(data, Path(a)), raw_loop(data, Path(b))))
        result[name] = {
            "lightning_ms": round(1e3 * statistics.median(p[0] for p in pairs), 3),
            "raw_ms": round(1e3 * statistics.median(p[1] for p in pairs), 3),
            "ratio": round(statistics.median(p[0] / p[1] for p in pairs), 4),
            "ratios": [round(p[0] / p[1], 4) for p in pairs],
            "difference_ms": round(1e3 * statistics.median(p[0] - p[1] for p in pairs), 3),
        }
    print(json.dumps({"benchmark": "lightning_overhead", "metrics_a_step": METRICS, **result}, indent=2))


if __name__ == "__main__":
    main()
