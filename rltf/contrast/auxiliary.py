"""`auxiliary=atc`: the contrast beside RL, on the programs of each micro-batch.

The body that it trains also writes the programs. That is not the paper's decoupled setting, which `job=atc` with
`critic.train_body=false` has."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

import torch
from typing_extensions import override

from rltf.algorithms.objective import Loss
from rltf.benchmarks.base import Benchmark
from rltf.contrast.batch import ContrastBatch, collate_contrast
from rltf.contrast.network import ContrastNetwork
from rltf.contrast.options import ContrastOptions
from rltf.contrast.programs import EncodedProgram, ProgramReader, draw_batch
from rltf.policies.base import Policy
from rltf.training.auxiliary import AUXILIARY, Auxiliary, AuxiliaryBatch
from rltf.types import Rollout


class ContrastAuxiliary(Auxiliary):
    """The contrast of a run.

    Args:
        policy: whose body is trained.
        benchmark: whose problems the programs answer.
        options: keys of the contrast.
        weight: of its loss beside that of RL.
        lr: peak learning rate of the layers on top of the policy.
    """

    def __init__(
        self, policy: Policy, benchmark: Benchmark, options: ContrastOptions, weight: float, lr: float
    ) -> None:
        super().__init__(weight, lr)
        self.network = ContrastNetwork(policy, options)
        self._reader = ProgramReader(policy, benchmark, options)
        self._options = options

    @override
    def prepare(self, rollouts: Sequence[Rollout], seed: str) -> ContrastBatch:
        """Different programs of a micro-batch, each encoded from its text: `options.rows` at most."""
        draw = Random(seed)
        groups: dict[str, dict[str, EncodedProgram]] = defaultdict(dict)
        for rollout in rollouts:
            program = self._reader.read(rollout.program.problem_id, rollout.program.text)
            if program is not None:
                groups[program.problem_id][program.text] = program
        programs = draw_batch([list(of_problem.values()) for of_problem in groups.values()], self._options.rows, draw)
        augmented = [self._reader.augmented(program, draw) for program in programs]
        policy = self._reader.policy
        return collate_contrast(programs, augmented, self._options.k, policy.pad_id, policy.prompt_padding)

    @override
    def forward(self, policy: Policy, batch: AuxiliaryBatch) -> Loss:
        assert isinstance(batch, ContrastBatch), "it reads what it prepared"
        loss: Loss = self.network(policy, batch)
        return loss

    @override
    def start(self, policy: Policy) -> None:
        self.network.start(policy)

    @override
    def place(self, device: torch.device) -> None:
        self.network.place(device)

    @override
    def move(self, policy: Policy) -> None:
        self.network.follow(policy)

    @override
    def save(self, checkpoint: dict[str, Any], policy: Policy) -> None:
        checkpoint[AUXILIARY] = self.network.copy_state(policy)

    @override
    def load(self, checkpoint: Mapping[str, Any]) -> None:
        if AUXILIARY in checkpoint:  # else it is one of the warm-up
            self.network.load_copy_state(checkpoint[AUXILIARY])
