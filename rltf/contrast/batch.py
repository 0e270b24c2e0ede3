"""A batch of the contrast: programs, the same programs augmented, and which line ends belong together. B programs, T
tokens, N anchors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from rltf.contrast.programs import EncodedProgram
from rltf.rollouts.collate import collate_demonstrations
from rltf.types import RolloutBatch


@dataclass(frozen=True, slots=True)
class ContrastBatch:
    """Anchors and their positives."""

    programs: RolloutBatch
    """Read by the trained network."""
    augmented: RolloutBatch
    """The same programs, augmented: read by the momentum copy."""
    anchor_N: Tensor
    """int64: the anchor's line end in the flattened `programs`."""
    positive_N: Tensor
    """int64: the line end k lines later in the flattened `augmented`."""
    beginning_N: Tensor
    """int64: equal numbers stand for equal programs up to the positive's line end."""
    program_N: Tensor
    """int64: row of the anchor's program."""
    problem_N: Tensor
    """int64: equal numbers stand for one problem."""

    @property
    def count(self) -> float:
        """Number of anchors, which the loss is divided by."""
        return float(len(self.anchor_N))

    @property
    def tokens(self) -> int:
        """Number of tokens that networks read, padding included."""
        return sum(part.prompt_BS.numel() + part.response_BT.numel() for part in (self.programs, self.augmented))

    def to(self, device: Any) -> ContrastBatch:
        """The same batch on another device."""
        return ContrastBatch(*(getattr(self, field.name).to(device) for field in fields(self)))


def collate_contrast(
    programs: Sequence[EncodedProgram], augmented: Sequence[EncodedProgram], k: int, pad_id: int, prompt_padding: str
) -> ContrastBatch:
    """The batch of some programs; their last k lines are no anchors.

    Args:
        programs: to read; none: a batch without anchors.
        augmented: the same ones, augmented.
        k: lines from an anchor to its positive.
        pad_id: token id put at padding.
        prompt_padding: side of prompts that is padded, `left` or `right`.
    """
    no_program = (pad_id,), (pad_id,)
    batch, copy_batch = (
        collate_demonstrations([(p.prompt_ids, p.token_ids) for p in side] or [no_program], pad_id, prompt_padding)
        for side in (programs, augmented)
    )
    width, copy_width = batch.response_BT.shape[1], copy_batch.response_BT.shape[1]
    numbers: dict[Any, int] = {}
    rows = []
    for row, (program, copy) in enumerate(zip(programs, augmented, strict=True)):
        for line in range(len(program.ends) - k):
            beginning = program.token_ids[: program.ends[line + k]]
            rows.append(
                (
                    row * width + program.ends[line] - 1,
                    row * copy_width + copy.ends[line + k] - 1,
                    numbers.setdefault(beginning, len(numbers)),
                    row,
                    numbers.setdefault(program.problem_id, len(numbers)),
                )
            )
    columns = torch.tensor(rows, dtype=torch.int64).view(-1, 5).unbind(1)
    return ContrastBatch(batch, copy_batch, *columns)
