"""The memory of decoding: keys and values, row states and, on CUDA, captured steps. One state may serve many calls of
the engine."""

from __future__ import annotations

from collections.abc import Hashable
from functools import partial

import torch

from rltf.generation.engine.cuda_graphs import step_runner
from rltf.generation.engine.memory_plan import MemoryPlan
from rltf.generation.engine.row_states import RowStates
from rltf.generation.modes import decode_mode
from rltf.policies.decoding import Decoder, StepShape, make_cache
from rltf.policies.decoding.projections import copy_derived_weights, step_tensors
from rltf.types import Sampling


class DecodeState:
    """Cache, row states and step runner of a plan; all memory is taken at once.

    Args:
        decoder: on the weights of this moment; see `reuse_for`.
        plan: how many rows and prompts there is memory for.
        sampling: how tokens are drawn.
        end_ids: the tokens that end a response.
        graphs: capture steps, where the device can.
    """

    def __init__(
        self, decoder: Decoder, plan: MemoryPlan, sampling: Sampling, end_ids: tuple[int, ...], graphs: bool
    ) -> None:
        self.decoder = decoder
        self._plan, self._drawing = plan, (sampling, end_ids)
        self._runner = step_runner(decoder.device, graphs, sampling.max_new_tokens)
        self.host_sync_interval = self._runner.host_sync_interval
        self.uses_graphs = graphs = self._runner.uses_graphs
        with decode_mode(decoder.device):
            self.cache = make_cache(decoder, plan.rows, plan.columns, plan.prompts, plan.prompt_length, graphs)
            self.row_states = RowStates(
                self.cache.column, plan.columns, sampling, end_ids, decoder.kernels, allow_host_sync=not graphs
            )

    def step(self, shape: StepShape, variant: Hashable = None) -> None:
        """Feeds one token to each row and draws the next.

        Args:
            shape: of the step.
            variant: whatever besides the shape decides which kernels a step runs.
        """
        self._runner.run((shape, variant), partial(self._step, shape))

    def _step(self, shape: StepShape) -> None:
        self.cache.begin_step(shape)
        token_A, position_A = self.row_states.next_inputs(shape.rows)
        self.row_states.append_tokens(self.decoder.step(token_A, position_A, self.cache))

    def reuse_for(self, decoder: Decoder, plan: MemoryPlan, sampling: Sampling, end_ids: tuple[int, ...]) -> bool:
        """Takes over the weights of this moment for another call; False if the call does not fit into this memory, or
        if the weights have moved to another place."""
        memory = self._plan
        fits = self._drawing == (sampling, end_ids) and memory.columns == plan.columns
        fits = fits and memory.rows >= plan.rows and memory.prompts >= plan.prompts
        fits = fits and memory.prompt_length >= plan.prompt_length
        with decode_mode(decoder.device):
            if not (fits and copy_derived_weights(decoder, self.decoder)):
                return False
            self.cache.update_distance_bias(decoder)
        return True

    @property
    def bytes(self) -> int:
        """Bytes that rows and prompts take."""
        storages = (tensor.untyped_storage() for tensor in self.tensors)
        return sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())

    @property
    def tensors(self) -> list[torch.Tensor]:
        """All tensors that one step leaves for the next, besides the decoder's."""
        return [*step_tensors(self.cache), *step_tensors(self.row_states)]
