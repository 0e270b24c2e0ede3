"""Training that runs out of memory repeats the step in smaller pieces: the same gradient, to rounding.

The loss is a sum over rows divided by what the whole step counts (`rltf.algorithms.loss_mix`), so the gradients of
pieces add up. Memory may run out half way through a backward pass, when some gradients are added already: so all
gradients of the step are dropped, and its micro-batches so far are run again in pieces of half the size.

Where processes train together (DDP), gradients are exchanged in the last backward pass of a step, and the exchange
cannot be undone. So there a micro-batch that is larger than all before it, or that needs pieces, is run ahead of the
exchange, which then happens in a pass of zeros. Every process makes one exchange per step, wherever memory ran out. If
it runs out in the exchange itself, or where weights are sharded, the run stops."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from rltf.training.micro_batches import TrainBatch

log = logging.getLogger(__name__)

Metrics = Mapping[str, Tensor]


class OOMRetry:
    """Adds up the gradient of an optimiser step, in as few pieces as fit into memory.

    Args:
        forward: returns (loss, detached metrics) of a micro-batch or of a piece of it.
        backward: adds the gradient of a loss.
        zero_grad: drops all gradients.
    """

    def __init__(
        self,
        forward: Callable[[TrainBatch], tuple[Tensor, Metrics]],
        backward: Callable[[Tensor], None],
        zero_grad: Callable[[], None],
    ) -> None:
        self._forward, self._backward, self._zero_grad = forward, backward, zero_grad
        self.pieces = 1
        """Pieces of each loss term of a micro-batch; doubled when memory runs out, for the rest of the run."""
        self._largest_tokens = 0
        self._step_batches: list[TrainBatch] = []
        """Micro-batches of this step whose gradient is added."""

    def begin_step(self) -> None:
        """Drops the gradients of the step before."""
        self._step_batches.clear()
        self._zero_grad()

    def fits_whole(self, batch: TrainBatch) -> bool:
        """True when a batch of this size or more has been run in one piece."""
        return self.pieces == 1 and batch.tokens <= self._largest_tokens

    def add_gradient(self, batch: TrainBatch) -> tuple[Tensor, list[Metrics]]:
        """Adds the gradient of a micro-batch.

        Returns:
            Its detached loss, and the metrics of each piece.

        Raises:
            torch.OutOfMemoryError: one row alone does not fit; one sentence.
        """
        pending = [batch]
        while (loss_and_metrics := self._try_batches(pending)) is None:
            self._halve_pieces(batch)
            pending = [*self._step_batches, batch]
        self._step_batches.append(batch)
        self._largest_tokens = max(self._largest_tokens, batch.tokens)
        return loss_and_metrics

    def _try_batches(self, batches: list[TrainBatch]) -> tuple[Tensor, list[Metrics]] | None:
        """Loss and metrics of the last batch; None: out of memory. The tensors of a failed try die with this frame."""
        try:
            for batch in batches:
                piece_results = [self._run_piece(piece) for piece in batch.split(self.pieces)]
        except torch.OutOfMemoryError:
            return None
        return torch.stack([loss for loss, _ in piece_results]).sum(), [metrics for _, metrics in piece_results]

    def _run_piece(self, piece: TrainBatch) -> tuple[Tensor, Metrics]:
        loss, metrics = self._forward(piece)
        self._backward(loss)
        return loss.detach(), metrics

    def _halve_pieces(self, batch: TrainBatch) -> None:
        self._zero_grad()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if len(batch.split(2 * self.pieces)) == len(batch.split(self.pieces)):
            raise torch.OutOfMemoryError(
                f"out of memory: training on one program does not fit (in this batch up to {batch.longest_row_tokens} "
                "tokens, its prompt included): set a lower generation.sampling.max_new_tokens or "
                "model.max_prompt_tokens, or model.gradient_checkpointing=true"
            )
        self.pieces *= 2
        log.warning("training ran out of memory: micro-batches are run in %d pieces from now on", self.pieces)
