"""`job=atc`: trains the model's body by contrast on the programs of runs, before a critic begins with it."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import torch

from rltf.benchmarks.splits import hash_fraction
from rltf.contrast.batch import ContrastBatch, collate_contrast
from rltf.contrast.network import ContrastNetwork
from rltf.contrast.options import ContrastOptions
from rltf.contrast.programs import EncodedProgram, ProgramReader, draw_batch
from rltf.critics.learner import adamw
from rltf.policies.base import Policy
from rltf.rollouts.pipeline import RolloutPipeline
from rltf.runs.files import POLICY_FOLDER, ROLLOUTS_FILE
from rltf.runs.rollouts_file import read_records
from rltf.types import Sampling
from rltf.validation import require

log = logging.getLogger(__name__)

HELD_OUT_BATCHES = 8
"""Batches of held-out programs that the result is measured on."""
COLLAPSED = 1.5
"""Accuracy over that of guessing below which nothing was learned."""

Groups = list[list[EncodedProgram]]


@dataclass(frozen=True, kw_only=True)
class ContrastTraining(ContrastOptions):
    """Trains the policy's weights on programs of earlier runs and exports them.

    Raises:
        OptionError: a number is out of range.
    """

    runs: str | Sequence[str]
    """Folder of a run, or a list: their `rollouts.jsonl` is read."""
    steps: int = 2000
    """Optimiser steps; 0: the model is exported as it is."""
    lr: float = 1e-3
    """Learning rate of AdamW."""
    warmup: int = 100
    """Steps of linear increase of the learning rate."""
    clip: float = 10.0
    """Largest norm of the gradient."""
    held_out: float = 0.1
    """Share of problems that are measured and not learned."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require("steps", self.steps, at_least=0, whole=True)
        require("lr", self.lr, above=0)
        require("warmup", self.warmup, at_least=0, whole=True)
        require("clip", self.clip, above=0)
        require("held_out", self.held_out, above=0, below=1)

    def __call__(self, pipeline: RolloutPipeline, sampling: Sampling, seed: int, folder: Path) -> dict[str, Any]:
        """Trains the body and writes `policy/`, for the option `critic.body`. As its embeddings change and its output
        layer does not follow, it writes no programs any more.

        Returns:
            `programs`: number of training programs; and of the held-out ones `loss`, `accuracy`,
            `accuracy_same_problem` and `chance`.

        Raises:
            ValueError: the runs have too few programs with k + 1 lines of code.
        """
        policy = pipeline.policy
        reader = ProgramReader(policy, pipeline.benchmark, self)
        training, held_out = self._read_programs(reader)
        for part, groups in (("learn from", training), ("hold out", held_out)):
            if sum(map(len, groups)) < 2:
                raise ValueError(
                    f"job.runs has {sum(map(len, groups))} programs of benchmark={pipeline.benchmark.name} with at "
                    f"least {self.k + 1} lines of code to {part}: expected some, so more runs, or a smaller job.k"
                )
        network = ContrastNetwork(policy, self)
        network.start(policy)
        network.place(policy.model.device)
        self._train(policy, network, reader, training, seed)
        policy.export(folder / POLICY_FOLDER)
        metrics = self._measure(policy, network, reader, held_out)
        if self.steps and metrics["accuracy"] < COLLAPSED * metrics["chance"]:
            log.warning(
                "the contrast collapsed: accuracy %.3f of held-out programs, and guessing has %.3f: expected another "
                "job.lr, job.k or job.rows",
                metrics["accuracy"],
                metrics["chance"],
            )
        return {"programs": sum(map(len, training)), **{name: round(value, 6) for name, value in metrics.items()}}

    def _read_programs(self, reader: ProgramReader) -> tuple[Groups, Groups]:
        """Training and held-out programs by problem, each text once."""
        groups: dict[str, dict[str, EncodedProgram]] = defaultdict(dict)
        for record in read_records(self.runs, ROLLOUTS_FILE, "job.runs", "the folder of a run"):
            program = reader.read(record["problem_id"], record["program"])
            if program is not None:
                groups[program.problem_id][program.text] = program
        parts: tuple[Groups, Groups] = ([], [])
        for problem_id, programs in groups.items():
            parts[hash_fraction(problem_id) < self.held_out].append(list(programs.values()))
        return parts

    def _train(
        self, policy: Policy, network: ContrastNetwork, reader: ProgramReader, groups: Groups, seed: int
    ) -> None:
        policy.start_phase(supervised=False)
        policy.train()
        weights = [weight for weight in (*policy.parameters(), *network.parameters()) if weight.requires_grad]
        optimizer = adamw(weights, self.lr, 0.0)
        for step in range(self.steps):
            loss = network(policy, self._batch(reader, groups, f"{seed}/{step}"))
            optimizer.param_groups[0]["lr"] = self.lr * min(1.0, (step + 1) / max(1, self.warmup))
            optimizer.zero_grad()
            mean = loss.total / loss.count
            mean.backward()
            norm = torch.nn.utils.clip_grad_norm_(weights, self.clip)
            if torch.isfinite(norm):
                optimizer.step()
                network.follow(policy)
            if (step + 1) % 100 == 0:
                log.info("step %d: loss %.4f, accuracy %.3f", step + 1, mean, loss.metrics["accuracy"])

    def _batch(self, reader: ProgramReader, groups: Groups, seed: str) -> ContrastBatch:
        draw = Random(seed)
        programs = draw_batch(groups, self.rows, draw)
        augmented = [reader.augmented(program, draw) for program in programs]
        batch = collate_contrast(programs, augmented, self.k, reader.policy.pad_id, reader.policy.prompt_padding)
        return batch.to(reader.policy.model.device)

    @torch.no_grad()
    def _measure(
        self, policy: Policy, network: ContrastNetwork, reader: ProgramReader, groups: Groups
    ) -> dict[str, float]:
        """Means over anchors of held-out programs, the same ones whatever the seed is."""
        policy.eval()
        sums: dict[str, float] = defaultdict(float)
        counts: dict[str, float] = defaultdict(float)
        for number in range(HELD_OUT_BATCHES):
            loss = network(policy, self._batch(reader, groups, f"held out/{number}"))
            for name, value in {"loss": loss.total / loss.count, **loss.metrics}.items():
                sums[name] += value.item() * loss.count.item()
                counts[name] += loss.count.item()
        return {name: sums[name] / counts[name] for name in sums}
