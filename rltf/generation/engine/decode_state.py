"""What decodes rows: decoder, memory and, on CUDA, captured steps. One may serve many calls of the engine."""

from __future__ import annotations

from collections.abc import Hashable
from functools import partial

import torch

from rltf.generation.engine.cuda_graphs import steps_on
from rltf.generation.engine.memory_plan import Plan
from rltf.generation.engine.rows_state import RowStates
from rltf.generation.modes import decoding
from rltf.policies.decoding import Decoder, StepShape, make_cache
from rltf.policies.decoding.projections import renew, tensors_of
from rltf.types import Sampling


class DecodeState:
    """Takes all memory at once.

    Args:
        decoder: on the weights of this moment; see `renew`.
        plan: how many rows and prompts there is memory for.
        sampling: how tokens are drawn.
        eos_id: the token that ends a response.
        graphs: capture steps, where the device can.
    """

    def __init__(self, decoder: Decoder, plan: Plan, sampling: Sampling, eos_id: int, graphs: bool) -> None:
        self.decoder = decoder
        self._plan, self._kind = plan, (sampling, eos_id)
        self._steps = steps_on(decoder.device, graphs, sampling.max_new_tokens)
        self.look_every = self._steps.look_every
        self.captured = captured = self._steps.captured
        with decoding(decoder.device):
            self.cache = make_cache(decoder, plan.seats, plan.columns, plan.prompts, plan.prompt_length, captured)
            self.seats = RowStates(self.cache.age, plan.columns, sampling, eos_id, decoder.kernels, look=not captured)

    def step(self, shape: StepShape, kind: Hashable = None) -> None:
        """Feeds one token to each row and draws the next.

        Args:
            shape: of the step.
            kind: what else tells one step's kernels from another's.
        """
        self._steps.run((shape, kind), partial(self._step, shape))

    def _step(self, shape: StepShape) -> None:
        self.cache.tick(shape)
        token_A, position_A = self.seats.feed(shape.rows)
        self.seats.draw(self.decoder.step(token_A, position_A, self.cache))

    def renew(self, decoder: Decoder, plan: Plan, sampling: Sampling, eos_id: int) -> bool:
        """Takes in the weights of this moment; False if the room does not fit, or if weights lie elsewhere now."""
        mine, other = self._plan, plan
        fits = self._kind == (sampling, eos_id) and mine.columns == other.columns
        fits = fits and mine.seats >= other.seats and mine.prompts >= other.prompts
        with decoding(decoder.device):
            if not (fits and mine.prompt_length >= other.prompt_length and renew(self.decoder, decoder)):
                return False
            self.cache.refresh(decoder)
        return True

    @property
    def bytes(self) -> int:
        """That rows and prompts take."""
        found = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in self.tensors}
        return sum(found.values())

    @property
    def tensors(self) -> list[torch.Tensor]:
        """All that a step finds where the last one left it, besides the decoder's."""
        return [*tensors_of(self.cache), *tensors_of(self.seats)]
