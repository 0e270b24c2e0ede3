"""A discriminator that compares a program with a reference: which of the two did a person write? (RLCF's second part.)

    h(x, W) = head(maximum over the tokens of W of their states)        states: of a body that has read prompt x and W
    difference = h(x, W) - h(x, W_ref)                                  grounding = tanh(difference)
    loss of a pair = softplus(difference) = -log sigmoid(h(x, W_ref) - h(x, W))

The difference changes its sign when both programs are swapped, so no order has to be drawn. B pairs, T response tokens.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional
from typing_extensions import override

from rltf.benchmarks.base import Benchmark
from rltf.critics.learner import Learner
from rltf.critics.network import CriticNetwork
from rltf.policies.base import Policy
from rltf.rollouts.collate import collate_demonstrations
from rltf.runs.files import GROUNDING_FILE
from rltf.types import Problem

PREDICTION_BATCH_SIZE = 64
"""Programs per forward pass without gradient."""
MOST_TOKENS = 1024
"""Tokens of a program that are read, its end-of-sequence token last; fewer where the model's context is shorter."""

Text = tuple[tuple[int, ...], tuple[int, ...]]
"""Token ids of a prompt and of an answer to it."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A program that the policy wrote, and a reference of the same problem."""

    generated: Text
    reference: Text


class ProgramComparison(Learner[Pair]):
    """The discriminator of a run.

    Args:
        policy: the body is a copy of it; it encodes prompts and programs.
        benchmark: renders prompts and answers.
        hidden, lr, passes, batch_size, weights, normalise: see `rltf.grounding.discriminator.Discriminator`.
    """

    noun: ClassVar[str] = "discriminator"
    file_name: ClassVar[str] = GROUNDING_FILE

    def __init__(
        self,
        policy: Policy,
        benchmark: Benchmark,
        hidden: int,
        lr: float,
        passes: float,
        batch_size: int,
        weights: str | None,
        normalise: bool,
    ) -> None:
        network = CriticNetwork(policy, 1, hidden, own_body=True, after_token=True)
        super().__init__(network, lr, 0.0, passes, batch_size, weights)
        self._policy, self._benchmark, self._normalise = policy, benchmark, normalise
        room = policy.response_limit if policy.context is None else policy.context - policy.max_prompt_tokens
        self._most_tokens = MOST_TOKENS if room is None else min(MOST_TOKENS, room)

    def pair(self, problem: Problem, program: str, reference: str) -> Pair:
        """Both programs as tokens, on one road: the difference between them is none of layout, form of the answer,
        tokenisation or of an end that is missing."""
        texts = (program, reference)
        if self._normalise:
            texts = normalised(program), normalised(reference)
        try:
            answers = tuple(self._benchmark.answer(problem, text) for text in texts)
        except ValueError:  # one of them is no answer in the prompt's format: neither is written as one
            answers = texts
        prompt_ids = self._policy.encode_prompt(self._benchmark.prompt(problem))
        generated, written = ((prompt_ids, self._shortened(self._policy.encode_answer(text))) for text in answers)
        return Pair(generated, written)

    def _shortened(self, token_ids: tuple[int, ...]) -> tuple[int, ...]:
        if len(token_ids) <= self._most_tokens:
            return token_ids
        return (*token_ids[: self._most_tokens - 1], token_ids[-1])

    def differences(self, pairs: Sequence[Pair]) -> list[float]:
        """h(x, W) - h(x, W_ref) of each pair, without gradient; exactly 0 for equal programs. Each text is read
        once."""
        texts = list(dict.fromkeys(text for pair in pairs for text in (pair.generated, pair.reference)))
        texts.sort(key=lambda text: len(text[1]))  # batches of similar lengths, against padding
        self.network.eval()
        scores: dict[Text, float] = {}
        with torch.no_grad(), self._precision():
            for start in range(0, len(texts), PREDICTION_BATCH_SIZE):
                chunk = texts[start : start + PREDICTION_BATCH_SIZE]
                scores |= zip(chunk, self.scores(chunk).tolist(), strict=True)
        return [scores[pair.generated] - scores[pair.reference] for pair in pairs]

    def scores(self, texts: Sequence[Text]) -> Tensor:
        """float32 h_B of each text."""
        batch = collate_demonstrations(texts, self._policy.pad_id, self._policy.prompt_padding).to(self._device)
        states_BTD = self.network.states(batch)
        padding_BT1 = ~batch.response_mask_BT.unsqueeze(2)
        return self.network.apply_head(states_BTD.masked_fill(padding_BT1, -torch.inf).amax(1)).squeeze(1)

    @override
    def batch_loss(self, items: Sequence[Pair]) -> tuple[Tensor, int]:
        scores = self.scores([*(pair.generated for pair in items), *(pair.reference for pair in items)])
        return pair_loss(*scores.chunk(2)).sum(), len(items)


def pair_loss(generated_B: Tensor, reference_B: Tensor) -> Tensor:
    """The loss of each pair.

    >>> pair_loss(torch.tensor([0.2]), torch.tensor([1.0]))
    tensor([0.3711])
    """
    return functional.softplus(generated_B - reference_B)


def normalised(program: str) -> str:
    """A program without comments, in the layout of `ast.unparse`; unchanged where it does not compile.

    >>> normalised("def f( x ):   # doubles\\n  return (x*2)")
    'def f(x):\\n    return x * 2'
    """
    try:
        return ast.unparse(ast.parse(program))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return program
