"""The default sampler (`generation=auto`): the engine where it decodes the model, else transformers' own forward."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Iterator, Sequence
from typing import Literal

from torch import nn

from rltf.generation.engine.engine import Engine
from rltf.generation.hf import HFSampler
from rltf.generation.modes import decode_mode
from rltf.generation.sampler import Sampler
from rltf.policies.base import Policy
from rltf.policies.decoding import decoder_for
from rltf.types import Request, Sample, Sampling
from rltf.validation import require

_log = logging.getLogger(__name__)


class AutoSampler:
    """Implements `rltf.generation.sampler.Sampler` for all models that one of the two serves. Both draw from the same
    random streams.

    Args:
        max_rows, max_cache_tokens, prefill_tokens, compiled, graphs: see `Engine`.
        hf_rows: rows in one batch of `HFSampler`.
    """

    def __init__(
        self,
        max_rows: int = 256,
        max_cache_tokens: int = 524288,
        prefill_tokens: int = 8192,
        compiled: bool = True,
        graphs: bool | Literal["auto"] = "auto",
        hf_rows: int = 64,
    ) -> None:
        # As the engine does: whoever reads this file before torch is imported finds mistakes at once.
        require("max_rows", max_rows, at_least=1, whole=True)
        require("max_cache_tokens", max_cache_tokens, at_least=1, whole=True)
        require("prefill_tokens", prefill_tokens, at_least=1, whole=True)
        require("graphs", graphs, choices=("auto", True, False))
        require("hf_rows", hf_rows, at_least=1, whole=True)
        self._engine = Engine(max_rows, max_cache_tokens, prefill_tokens, compiled, graphs)
        self._hf = HFSampler(hf_rows)
        self._choice: tuple[weakref.ref[nn.Module], Sampler] | None = None

    def choose(self, policy: Policy) -> Sampler:
        """The sampler of a policy's model, always the same one for a model. The log says which, and why where it is
        not the engine.

        Args:
            policy: on any device, with its present adapters.
        """
        if self._choice is None or self._choice[0]() is not policy.model:
            self._choice = (weakref.ref(policy.model), self._sampler_for(policy))
        return self._choice[1]

    def sample(self, policy: Policy, requests: Sequence[Request], sampling: Sampling, seed: int) -> Iterator[Sample]:
        """Yields each sample as it ends; see `Sampler`."""
        yield from self.choose(policy).sample(policy, requests, sampling, seed)

    def _sampler_for(self, policy: Policy) -> Sampler:
        name = type(policy.model).__name__
        try:
            with decode_mode(policy.model.device):
                decoder_for(policy.model, compiled=False)  # reads every weight, so that quantised layers show, too
        except ValueError as error:
            reason = str(error).partition(": expected")[0]
            _log.info("generation=auto takes hf for %s: %s", name, reason)
            return self._hf
        _log.info("generation=auto takes native for %s", name)
        return self._engine
