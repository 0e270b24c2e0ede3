"""Rollouts in little memory, and as a dictionary that `torch.load(weights_only=True)` accepts.

As Python objects a program of 300 tokens takes 60 KB, nearly all of it ids, offsets and log-probs; in arrays they take
5 KB. Log-probs are kept in float32, which is what samplers produce.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rltf.types import Category, Credit, ErrorReport, FinishReason, Outcome, Program, Rollout, TestResult, Verdict


@dataclass(frozen=True, slots=True)
class PackedRollout:
    """A rollout whose T tokens are arrays."""

    light: Rollout
    """The rollout without `token_ids`, `offsets`, `logprobs`, `weights` and what a critic said; its prompt is shared
    with others of the problem."""
    token_ids_T: NDArray[np.int32]
    offsets_T2: NDArray[np.int32]
    logprobs_T: NDArray[np.float32]
    weights_T: NDArray[np.float32]
    """Empty where the rollout has none of its own."""

    @classmethod
    def of(cls, rollout: Rollout) -> PackedRollout:
        """Packs one rollout."""
        program = rollout.program
        return cls(
            light=replace(
                rollout, program=replace(program, token_ids=(), offsets=(), logprobs=()), weights=(), critic=None
            ),
            token_ids_T=np.array(program.token_ids, dtype=np.int32),
            offsets_T2=np.array(program.offsets, dtype=np.int32).reshape(-1, 2),
            logprobs_T=np.array(program.logprobs, dtype=np.float32),
            weights_T=np.array(rollout.weights, dtype=np.float32),
        )

    def rollout(self) -> Rollout:
        """The rollout that was packed."""
        program = replace(
            self.light.program,
            token_ids=tuple(self.token_ids_T.tolist()),
            offsets=tuple(map(tuple, self.offsets_T2.tolist())),
            logprobs=tuple(self.logprobs_T.tolist()),
        )
        return replace(self.light, program=program, weights=tuple(self.weights_T.tolist()))


def to_state(packed: Sequence[PackedRollout]) -> dict[str, Any]:
    """Flat tensors, each prompt once, and one JSON string for verdicts, credits and texts."""
    prompts = list(dict.fromkeys(p.light.program.prompt_ids for p in packed))
    prompt_row = {prompt: row for row, prompt in enumerate(prompts)}
    return {
        "prompt_ids": _tensor(chain.from_iterable(prompts)),
        "prompt_lengths": _tensor(map(len, prompts)),
        "prompt_rows": _tensor(prompt_row[p.light.program.prompt_ids] for p in packed),
        "lengths": _tensor(len(p.token_ids_T) for p in packed),
        "token_ids": _joined([p.token_ids_T for p in packed], np.zeros(0, np.int32)),
        "offsets": _joined([p.offsets_T2 for p in packed], np.zeros((0, 2), np.int32)),
        "logprobs": _joined([p.logprobs_T for p in packed], np.zeros(0, np.float32)),
        "weight_lengths": _tensor(len(p.weights_T) for p in packed),
        "weights": _joined([p.weights_T for p in packed], np.zeros(0, np.float32)),
        "records": json.dumps([_record(p.light) for p in packed], separators=(",", ":")),
    }


def from_state(state: Mapping[str, Any]) -> list[PackedRollout]:
    """What `to_state` was given."""
    prompt_rows = np.split(state["prompt_ids"].numpy(), _borders(state["prompt_lengths"]))
    prompts = [tuple(row.tolist()) for row in prompt_rows]
    borders = _borders(state["lengths"])
    # copies, since a view would keep the whole checkpoint in memory for as long as one rollout stays
    return [
        PackedRollout(_light(record, prompts[row]), *(array.copy() for array in arrays))
        for record, row, *arrays in zip(
            json.loads(state["records"]),
            state["prompt_rows"].tolist(),
            *(np.split(state[name].numpy(), borders) for name in ("token_ids", "offsets", "logprobs")),
            np.split(state["weights"].numpy(), _borders(state["weight_lengths"])),
            strict=False,  # splitting nothing gives one empty part
        )
    ]


_IN_ARRAYS = ("prompt_ids", "token_ids", "offsets", "logprobs")
_IN_RECORD = tuple(name for name in Program.__dataclass_fields__ if name not in _IN_ARRAYS)


def _record(light: Rollout) -> dict[str, Any]:
    return {
        "program": {name: getattr(light.program, name) for name in _IN_RECORD},
        "verdict": {**asdict(light.verdict), "isolation": dict(light.verdict.isolation)},
        "credits": [(c.term, c.value, c.span) for c in light.credits],
        "values": (light.reward, light.baseline, light.advantage),
    }


def _light(record: Mapping[str, Any], prompt_ids: tuple[int, ...]) -> Rollout:
    program = {
        **record["program"],
        "finish": FinishReason(record["program"]["finish"]),
        "prefix_ids": tuple(record["program"]["prefix_ids"]),
    }
    verdict = {
        **record["verdict"],
        "outcome": Outcome(record["verdict"]["outcome"]),
        "unexecuted": None if (lines := record["verdict"]["unexecuted"]) is None else tuple(lines),
        "error": _error(record["verdict"]["error"]),
        "tests": tuple(
            TestResult(Outcome(t["status"]), t["seconds"], _error(t["error"])) for t in record["verdict"]["tests"]
        ),
    }
    return Rollout(
        Program(**program, prompt_ids=prompt_ids, token_ids=(), offsets=(), logprobs=()),
        Verdict(**verdict),
        tuple(Credit(term, value, span and (span[0], span[1])) for term, value, span in record["credits"]),
        *record["values"],
    )


def _error(record: Mapping[str, Any] | None) -> ErrorReport | None:
    return None if record is None else ErrorReport(**{**record, "category": Category(record["category"])})


def _tensor(values: Iterable[int]) -> Tensor:
    return torch.from_numpy(np.fromiter(values, dtype=np.int32))


def _joined(parts: Sequence[NDArray[Any]], empty: NDArray[Any]) -> Tensor:
    return torch.from_numpy(np.concatenate([empty, *parts]))


def _borders(lengths: Tensor) -> NDArray[np.int64]:
    return np.cumsum(lengths.numpy(), dtype=np.int64)[:-1]
