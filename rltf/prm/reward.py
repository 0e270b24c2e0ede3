"""`reward=...+prm`: the process reward model's output for each line, as a weight on the line's tokens.

    weight of line j = lambda * clip(PRM(prefix up to line j), -1, 1) / lines

Guards against rewards without good lines:
1. Blank lines, comments and bare strings earn nothing and do not count.
2. The sum is divided by the number of lines: more lines of the same kind earn no more.
3. Once the tests pass, lambda is a tenth: a passing program is not to be rewritten to please the model.
4. The model's output is clipped to the range of its labels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import torch

from rltf.critics.network import CriticNetwork
from rltf.policies.base import Policy
from rltf.policies.load import pretrained
from rltf.prm.lines import program_steps
from rltf.rewards.gates import Gate, check_gate
from rltf.rollouts.collate import collate_programs
from rltf.runs.files import CRITIC_FILE, POLICY_FOLDER
from rltf.types import Credit, Outcome, Problem, Program, Verdict
from rltf.validation import OptionError, require


class PrmReward:
    """Reward term that credits each line of code with the process reward model's output.

    Args:
        model: folder of a run of `job=prm`, whose tokenizer is the policy's; loaded on first use.
        weight: lambda while a test fails (paper: 0.25).
        passed_weight: lambda once all tests pass (paper: 0.025).
        batch_size: programs per forward pass.
        gate: `passed`: only programs that pass are credited, and read; None: all.

    Raises:
        OptionError: an option is out of range, or the folder holds no model.
    """

    def __init__(
        self,
        model: str,
        weight: float = 0.25,
        passed_weight: float = 0.025,
        batch_size: int = 32,
        gate: Gate | None = None,
    ) -> None:
        require("weight", weight, at_least=0)
        require("passed_weight", passed_weight, at_least=0)
        require("batch_size", batch_size, at_least=1, whole=True)
        check_gate(gate)
        self.gate = gate
        self._folder = Path(model).expanduser()
        if not (self._folder / CRITIC_FILE).is_file():
            raise OptionError("model", model, "the folder of a run of job=prm, with its critic.pt")
        self._weight, self._passed_weight, self._batch_size = weight, passed_weight, batch_size
        self._loaded_model: tuple[CriticNetwork, Policy] | None = None

    def __call__(self, problem: Problem, program: Program, verdict: Verdict) -> Sequence[Credit]:
        """One credit for each line of code of the program."""
        return self.credit_batch([(problem, program, verdict)])[0]

    def credit_batch(self, judged: Sequence[tuple[Problem, Program, Verdict]]) -> list[Sequence[Credit]]:
        """One credit for each line of code of each program, e.g. of an iteration."""
        outputs = self.token_outputs([program for _, program, _ in judged])
        return [
            line_credits(program, row, self._passed_weight if verdict.outcome is Outcome.PASSED else self._weight)
            for (_, program, verdict), row in zip(judged, outputs, strict=True)
        ]

    def token_outputs(self, programs: Sequence[Program]) -> list[list[float]]:
        """The model's output after each drawn token of each program."""
        network, policy = self._load_model()
        outputs: list[list[float]] = [[] for _ in programs]
        # batches of similar lengths, against padding
        order = sorted((i for i, p in enumerate(programs) if p.token_ids), key=lambda i: len(programs[i].token_ids))
        for start in range(0, len(order), self._batch_size):
            indices = order[start : start + self._batch_size]
            batch = collate_programs([programs[i] for i in indices], policy.pad_id, policy.prompt_padding)
            batch = batch.to(policy.model.device)
            with torch.no_grad():
                output_BT = network(batch).squeeze(2).float()
            for row, i in enumerate(indices):
                outputs[i] = output_BT[row][batch.mask_BT[row]].tolist()
        return outputs

    def _load_model(self) -> tuple[CriticNetwork, Policy]:
        if self._loaded_model is None:
            weights = torch.load(self._folder / CRITIC_FILE, map_location="cpu", weights_only=True)
            head = {name: weight for name, weight in weights.items() if name.startswith("head.")}
            policy = pretrained("prm", str(self._folder / POLICY_FOLDER)).eval().requires_grad_(False)
            hidden = len(head["head.0.weight"]) if "head.2.weight" in head else 0
            network = CriticNetwork(policy, 1, hidden, own_body=False, after_token=True).requires_grad_(False)
            network.load_state_dict(head)
            device = torch.device("cuda", torch.cuda.current_device()) if torch.cuda.is_available() else "cpu"
            self._loaded_model = network.to(device), policy.to(device)
        return self._loaded_model


def line_credits(program: Program, outputs: Sequence[float], weight: float) -> list[Credit]:
    """A credit for each line of code.

    Args:
        program: a program of any number of lines.
        outputs: the model's output after each drawn token.
        weight: lambda.

    Example:
        >>> from rltf.types import FinishReason
        >>> offsets = ((0, 2), (2, 4), (4, 6), (6, 6))
        >>> program = Program("p", "a\\n#\\nb\\n", (), (1, 2, 3, 0), offsets, (), FinishReason.EOS)
        >>> line_credits(program, [0.5, 9.0, -3.0, 0.0], 0.25)
        [Credit(term='prm', value=0.0625, span=(0, 1)), Credit(term='prm', value=-0.125, span=(2, 3))]
    """
    steps = program_steps(program)
    return [Credit("prm", weight * _clip(outputs[step.end - 1]) / len(steps), step.tokens) for step in steps]


def _clip(output: float) -> float:
    """The output within the range of labels. One that is no finite number stays so: `RewardStack` refuses it, where
    `min` would take NaN for the best label."""
    return max(-1.0, min(1.0, output)) if math.isfinite(output) else output
