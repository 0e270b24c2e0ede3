"""A micro-batch that does not fit into memory is run in pieces, halved until they fit: the same gradient, to rounding.

The loss is a sum over rows divided by what the whole step counts (`rltf.algorithms.loss_mix`), so pieces just add up.
Memory may run out half way through a backward pass, when some gradients are added already: so all gradients of the step
are dropped, and its micro-batches so far are run again in smaller pieces.

Where processes train together (DDP), gradients are exchanged in the last backward pass of a step, and what the others
have received cannot be taken back. So there a micro-batch that is larger than all before it, or that needs pieces, is
run ahead of the exchange, which then has a pass of zeros to itself. Every process makes one exchange a step, whatever
ran out of memory where; should it be in the exchange itself, the run stops. So it does where weights are sharded."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from rltf.training.batches import TrainBatch

log = logging.getLogger(__name__)

Metrics = Mapping[str, Tensor]


class OOMRetry:
    """Adds up the gradient of one optimiser step.

    Args:
        forward: (loss, detached metrics) of a micro-batch, or of a piece of it.
        backward: adds the gradient of a loss.
        forget: drops all gradients.
    """

    def __init__(
        self,
        forward: Callable[[TrainBatch], tuple[Tensor, Metrics]],
        backward: Callable[[Tensor], None],
        forget: Callable[[], None],
    ) -> None:
        self._forward, self._backward, self._forget = forward, backward, forget
        self.count = 1
        """Of each loss term of a micro-batch; doubled when memory runs out, for the rest of the run."""
        self._largest = 0
        self._done: list[TrainBatch] = []

    def begin(self) -> None:
        """A step begins."""
        self._done.clear()
        self._forget()

    def fits(self, batch: TrainBatch) -> bool:
        """Whether one of its size has been run in one piece."""
        return self.count == 1 and batch.tokens <= self._largest

    def add(self, batch: TrainBatch) -> tuple[Tensor, list[Metrics]]:
        """Adds the gradient of a micro-batch; its detached loss, and the metrics of its pieces.

        Raises:
            torch.OutOfMemoryError: one row alone does not fit; one sentence.
        """
        due = [batch]
        while (found := self._try(due)) is None:
            self._halve(batch)
            due = [*self._done, batch]
        self._done.append(batch)
        self._largest = max(self._largest, batch.tokens)
        return found

    def _try(self, due: list[TrainBatch]) -> tuple[Tensor, list[Metrics]] | None:
        """What was found of the last one; None: out of memory. What held it is gone with this frame."""
        try:
            for batch in due:
                found = [self._run(piece) for piece in batch.pieces(self.count)]
        except torch.OutOfMemoryError:
            return None
        return torch.stack([loss for loss, _ in found]).sum(), [metrics for _, metrics in found]

    def _run(self, piece: TrainBatch) -> tuple[Tensor, Metrics]:
        loss, metrics = self._forward(piece)
        self._backward(loss)
        return loss.detach(), metrics

    def _halve(self, batch: TrainBatch) -> None:
        self._forget()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if len(batch.pieces(2 * self.count)) == len(batch.pieces(self.count)):
            raise torch.OutOfMemoryError(
                f"out of memory: training on one program does not fit (in this batch up to {batch.longest} tokens, its "
                "prompt included): set a lower generation.sampling.max_new_tokens or model.max_prompt_tokens, or "
                "model.gradient_checkpointing=true"
            )
        self.count *= 2
        log.warning("training ran out of memory: micro-batches are run in %d pieces from now on", self.count)
