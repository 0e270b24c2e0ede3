"""Rollouts in little memory, and as a dictionary that `torch.load(weights_only=True)` accepts.

As Python objects a program of 300 tokens takes 60 KB, nearly all of it ids, offsets and log-probs; in arrays they take
5 KB. Log-probs are kept in float32, which is what samplers produce.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rltf.types import Credit, FinishReason, Program, Rollout, decode_verdict, encode_verdict


@dataclass(frozen=True, slots=True)
class PackedRollout:
    """A rollout whose T tokens are arrays."""

    without_tokens: Rollout
    """The rollout without `token_ids`, `offsets`, `logprobs`, `weights`, `excluded_tokens`, `critic` and
    `test_advantages`; its prompt is shared with others of the problem."""
    token_ids_T: NDArray[np.int32]
    offsets_T2: NDArray[np.int32]
    logprobs_T: NDArray[np.float32]
    weights_T: NDArray[np.float32]
    """Empty where `Rollout.weights` is; NaN at `Rollout.excluded_tokens`, as checkpoints have it."""

    @classmethod
    def pack(cls, rollout: Rollout) -> PackedRollout:
        """The rollout in arrays; its critic's predictions and its advantages at single tests are dropped."""
        program = replace(rollout.program, token_ids=(), offsets=(), logprobs=())
        without_tokens = replace(
            rollout, program=program, weights=(), critic=None, excluded_tokens=(), test_advantages=()
        )
        weights_T = np.array(rollout.weights, dtype=np.float32)
        weights_T[list(rollout.excluded_tokens)] = np.nan
        return cls(
            without_tokens=without_tokens,
            token_ids_T=np.array(rollout.program.token_ids, dtype=np.int32),
            offsets_T2=np.array(rollout.program.offsets, dtype=np.int32).reshape(-1, 2),
            logprobs_T=np.array(rollout.program.logprobs, dtype=np.float32),
            weights_T=weights_T,
        )

    def unpack(self) -> Rollout:
        """The rollout that was packed, its log-probs and weights in float32."""
        program = replace(
            self.without_tokens.program,
            token_ids=tuple(self.token_ids_T.tolist()),
            offsets=tuple(map(tuple, self.offsets_T2.tolist())),
            logprobs=tuple(self.logprobs_T.tolist()),
        )
        excluded_T = np.isnan(self.weights_T)
        return replace(
            self.without_tokens,
            program=program,
            weights=tuple(np.where(excluded_T, np.float32(0), self.weights_T).tolist()),
            excluded_tokens=tuple(np.flatnonzero(excluded_T).tolist()),
        )


def to_state(packed: Sequence[PackedRollout]) -> dict[str, Any]:
    """Flat tensors, each prompt once, and one JSON string for verdicts, credits and texts."""
    prompts = list(dict.fromkeys(p.without_tokens.program.prompt_ids for p in packed))
    prompt_row = {prompt: row for row, prompt in enumerate(prompts)}
    return {
        "prompt_ids": _tensor(chain.from_iterable(prompts)),
        "prompt_lengths": _tensor(map(len, prompts)),
        "prompt_rows": _tensor(prompt_row[p.without_tokens.program.prompt_ids] for p in packed),
        "lengths": _tensor(len(p.token_ids_T) for p in packed),
        "token_ids": _concatenated([p.token_ids_T for p in packed], np.zeros(0, np.int32)),
        "offsets": _concatenated([p.offsets_T2 for p in packed], np.zeros((0, 2), np.int32)),
        "logprobs": _concatenated([p.logprobs_T for p in packed], np.zeros(0, np.float32)),
        "weight_lengths": _tensor(len(p.weights_T) for p in packed),
        "weights": _concatenated([p.weights_T for p in packed], np.zeros(0, np.float32)),
        "records": json.dumps([_record(p.without_tokens) for p in packed], separators=(",", ":")),
    }


def from_state(state: Mapping[str, Any]) -> list[PackedRollout]:
    """The rollouts of a state that `to_state` made."""
    prompt_rows = np.split(state["prompt_ids"].numpy(), _split_points(state["prompt_lengths"]))
    prompts = [tuple(row.tolist()) for row in prompt_rows]
    split_points = _split_points(state["lengths"])
    # copies, since a view would keep the whole checkpoint in memory for as long as one rollout stays
    return [
        PackedRollout(_from_record(record, prompts[row]), *(array.copy() for array in arrays))
        for record, row, *arrays in zip(
            json.loads(state["records"]),
            state["prompt_rows"].tolist(),
            *(np.split(state[name].numpy(), split_points) for name in ("token_ids", "offsets", "logprobs")),
            np.split(state["weights"].numpy(), _split_points(state["weight_lengths"])),
            strict=False,  # splitting nothing gives one empty part
        )
    ]


_IN_ARRAYS = ("prompt_ids", "token_ids", "offsets", "logprobs")
_IN_RECORD = tuple(name for name in Program.__dataclass_fields__ if name not in _IN_ARRAYS)


def _record(rollout: Rollout) -> dict[str, Any]:
    return {
        "program": {name: getattr(rollout.program, name) for name in _IN_RECORD},
        "verdict": encode_verdict(rollout.verdict),
        "credits": [(c.term, c.value, c.span) for c in rollout.credits],
        "values": (rollout.reward, rollout.baseline, rollout.advantage),
    }


def _from_record(record: Mapping[str, Any], prompt_ids: tuple[int, ...]) -> Rollout:
    program = {
        **record["program"],
        "finish": FinishReason(record["program"]["finish"]),
        "prefix_ids": tuple(record["program"]["prefix_ids"]),
    }
    return Rollout(
        Program(**program, prompt_ids=prompt_ids, token_ids=(), offsets=(), logprobs=()),
        decode_verdict(record["verdict"]),
        tuple(Credit(term, value, span and (span[0], span[1])) for term, value, span in record["credits"]),
        *record["values"],
    )


def _tensor(values: Iterable[int]) -> Tensor:
    return torch.from_numpy(np.fromiter(values, dtype=np.int32))


def _concatenated(parts: Sequence[NDArray[Any]], empty: NDArray[Any]) -> Tensor:
    return torch.from_numpy(np.concatenate([empty, *parts]))


def _split_points(lengths: Tensor) -> NDArray[np.int64]:
    return np.cumsum(lengths.numpy(), dtype=np.int64)[:-1]
