"""`reward=...+prm`: what the process reward model says of each line, as a weight on the line's tokens.

    weight of line j = lambda * clip(PRM(prefix up to line j), -1, 1) / lines

What keeps a policy from earning by other means than good lines:
1. Blank lines, comments and bare strings earn nothing and do not count.
2. The sum is divided by the number of lines: more lines of the same kind earn no more.
3. Once the tests pass, lambda is a tenth: what passes is not to be rewritten to please the model.
4. The model's number is kept within what its labels are.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from rltf.critics.network import CriticNetwork
from rltf.policies.base import Policy
from rltf.policies.load import pretrained
from rltf.prm.lines import steps_of
from rltf.rollouts.batch import collate_programs
from rltf.types import Credit, Outcome, Problem, Program, Verdict


class Prm:
    """Dense rewards of lines; `many` asks the model of all programs of a harvest.

    Args:
        model: folder of a run of stage=prm; it has the policy's tokenizer. Read when it is first asked.
        weight: lambda while a test fails (paper: 0.25).
        passed_weight: lambda once all pass (paper: 0.025).
        batch_size: programs read together.

    Raises:
        ValueError: a weight is below 0, or the folder holds no model.
    """

    def __init__(self, model: str, weight: float = 0.25, passed_weight: float = 0.025, batch_size: int = 32) -> None:
        for key, value in (("weight", weight), ("passed_weight", passed_weight)):
            if not 0 <= value < float("inf"):
                raise ValueError(f"reward.terms.prm.{key} is {value}: expected a number of at least 0")
        if batch_size < 1:
            raise ValueError(f"reward.terms.prm.batch_size is {batch_size}: expected a whole number of at least 1")
        self._folder = Path(model).expanduser()
        if not (self._folder / "critic.pt").is_file():
            raise ValueError(f"reward.terms.prm.model={model} holds no critic.pt: expected the folder of stage=prm")
        self._weight, self._passed_weight, self._size = weight, passed_weight, batch_size
        self._network: CriticNetwork | None = None

    def __call__(self, problem: Problem, program: Program, verdict: Verdict) -> Sequence[Credit]:
        """Of one program."""
        return self.credit_batch([(problem, program, verdict)])[0]

    def credit_batch(self, judged: Sequence[tuple[Problem, Program, Verdict]]) -> list[Sequence[Credit]]:
        """Of the programs of a harvest: one credit a line with code."""
        said = self.scores([program for _, program, _ in judged])
        return [
            line_credits(program, one, self._passed_weight if verdict.outcome is Outcome.PASSED else self._weight)
            for (_, program, verdict), one in zip(judged, said, strict=True)
        ]

    def scores(self, programs: Sequence[Program]) -> list[list[float]]:
        """What the model says behind each drawn token of each program; in the order of lengths, so that little is
        padding."""
        network, policy = self._model()
        said: list[list[float]] = [[] for _ in programs]
        order = sorted((i for i, p in enumerate(programs) if p.token_ids), key=lambda i: len(programs[i].token_ids))
        for start in range(0, len(order), self._size):
            chosen = order[start : start + self._size]
            batch = collate_programs([programs[i] for i in chosen], policy.pad_id, policy.prompt_padding)
            batch = batch.to(policy.model.device)
            with torch.no_grad():
                value_BT = network(batch).squeeze(2).float()
            for row, i in enumerate(chosen):
                said[i] = value_BT[row][batch.mask_BT[row]].tolist()
        return said

    def _model(self) -> tuple[CriticNetwork, Policy]:
        if self._network is None:
            head = torch.load(self._folder / "critic.pt", map_location="cpu", weights_only=True)
            head = {name: weight for name, weight in head.items() if name.startswith("head.")}
            self._policy = pretrained("prm", str(self._folder / "policy")).eval().requires_grad_(False)
            hidden = len(head["head.0.weight"]) if "head.2.weight" in head else 0
            self._network = CriticNetwork(self._policy, 1, hidden, own=False, after=True).requires_grad_(False)
            self._network.load_state_dict(head)
            device = torch.device("cuda", torch.cuda.current_device()) if torch.cuda.is_available() else "cpu"
            self._policy.to(device)
            self._network.to(device)
        return self._network, self._policy


def line_credits(program: Program, said: Sequence[float], weight: float) -> list[Credit]:
    """A credit for each line with code.

    Args:
        program: of any number of lines.
        said: what the model says behind each drawn token.
        weight: lambda.

    Example:
        >>> from rltf.types import FinishReason
        >>> offsets = ((0, 2), (2, 4), (4, 6), (6, 6))
        >>> program = Program("p", "a\\n#\\nb\\n", (), (1, 2, 3, 0), offsets, (), FinishReason.EOS)
        >>> line_credits(program, [0.5, 9.0, -3.0, 0.0], 0.25)
        [Credit(term='prm', value=0.0625, span=(0, 1)), Credit(term='prm', value=-0.125, span=(2, 3))]
    """
    steps = steps_of(program)
    return [Credit("prm", weight * max(-1.0, min(1.0, said[step.end - 1])) / len(steps), step.tokens) for step in steps]
