"""Sampling in processes of its own (`generation.placement=separate`): Ray actors draw while this process trains.

This process publishes weights into Ray's object store, which is shared memory on one machine. A draw takes the ones
published last, and every sampler process loads them when it begins one; programs stream back as they finish. What a
process that died had not drawn yet is drawn by another in its place.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Self

import numpy as np
import torch

from rltf.generation.rows import draws_of
from rltf.generation.sampler import Sampler
from rltf.policies.base import Policy
from rltf.types import Request, Sample, Sampling
from rltf.validation import import_extra, require

log = logging.getLogger(__name__)

_MAX_DEATHS = 3
"""Sampler processes that may die without a program from any in between."""
_BATCH_SECONDS = 0.05
"""Programs that finish within this time come back together."""

Weights = Mapping[str, "np.ndarray[Any, Any]"]
"""Bytes of each trained parameter, by its name."""


class RemoteSampler:
    """A `Sampler` of sampler processes. Used between `start` and `close`, and after `publish`.

    Args:
        policy: makes the policy, in the sampler process; it must be the one whose weights are published.
        sampler: makes the sampler, in the sampler process.
        processes: number of sampler processes, among which requests are divided.
        gpus: GPUs per process, as Ray counts them.
        address: address of the Ray cluster, as `ray.init` takes it; `local`: a new one of this machine alone.

    Raises:
        OptionError: a number is out of range.
        ValueError: Ray is not installed.
    """

    def __init__(
        self,
        policy: Callable[[], Policy],
        sampler: Callable[[], Sampler],
        processes: int = 1,
        gpus: float = 0,
        address: str = "local",
    ) -> None:
        require("processes", processes, at_least=1, whole=True)
        require("gpus", gpus, at_least=0)
        self._ray = import_extra("ray", "generation.placement=separate")
        self._factories = (policy, sampler)
        self._processes, self._gpus, self._address = processes, gpus, address
        self._actors: list[Any] = []
        self._published: tuple[Any, int] | None = None
        self._owns_ray = self._closed = False
        self._drawing = threading.Lock()
        self.restarts = 0
        """Sampler processes that died and were replaced."""

    @property
    def version(self) -> int:
        """Optimiser steps behind the weights that were published last."""
        assert self._published is not None, "publish comes before drawing"
        return self._published[1]

    def start(self) -> None:
        """Starts the processes.

        Raises:
            ValueError: no Ray cluster answers.
        """
        self._closed = False
        self._owns_ray = not self._ray.is_initialized()
        if self._owns_ray:
            options = {"include_dashboard": False} if self._address == "local" else {}
            try:
                self._ray.init(address=self._address, log_to_driver=False, logging_level=logging.ERROR, **options)
            except ConnectionError as error:
                raise ValueError(
                    f"generation.hosts.address is {self._address!r}: no Ray cluster answers there ({error})"
                ) from None
        self._actors = [self._start_actor() for _ in range(self._processes)]

    def publish(self, policy: Policy, version: int) -> None:
        """Copies the present weights into Ray's object store.

        Args:
            policy: whose trained parameters are copied.
            version: optimiser steps behind them.
        """
        self._published = (self._ray.put(pack_weights(policy)), version)

    def sample(self, policy: Policy, requests: Sequence[Request], sampling: Sampling, seed: int) -> Iterator[Sample]:
        """Yields each sample as it comes, drawn from the weights that were published last when this was called.
        `policy` is not read.

        Raises:
            RuntimeError: sampler processes die again and again.
        """
        with self._drawing:
            yield from self._sample(requests, sampling, seed)

    def _sample(self, requests: Sequence[Request], sampling: Sampling, seed: int) -> Iterator[Sample]:
        weights, version = self._published or (None, 0)
        pending = {(i, draw) for i, request in enumerate(requests) for draw in draws_of(request)}
        shares = [range(k, len(requests), self._processes) for k in range(self._processes)]
        streams: dict[Any, int] = {}

        def start_stream(k: int) -> None:
            if any((i, draw) in pending for i in shares[k] for draw in draws_of(requests[i])):
                # All of them, also after a death: a batch of other rows would round otherwise.
                share = [requests[i] for i in shares[k]]
                remote_draw = self._actors[k].draw.options(num_returns="streaming")
                streams[remote_draw.remote(weights, version, share, sampling, seed)] = k

        deaths = 0
        for k in range(self._processes):
            start_stream(k)
        while streams:
            ready, _ = self._ray.wait(list(streams), num_returns=1)
            for stream in ready:
                k = streams[stream]
                try:
                    samples = self._ray.get(next(stream))
                except StopIteration:
                    del streams[stream]
                    continue
                except self._ray.exceptions.RayActorError as error:
                    deaths += 1
                    if self._closed or deaths > _MAX_DEATHS:
                        raise RuntimeError(f"a sampler process died: {_first_line(error)}") from error
                    log.warning("a sampler process died (%s): another takes its place", _first_line(error))
                    del streams[stream]
                    self.restarts += 1
                    self._actors[k] = self._start_actor()
                    start_stream(k)
                    continue
                deaths = 0
                for sample in samples:
                    index = shares[k][sample.request]
                    if (index, sample.draw) in pending:  # else it came before its process died
                        pending.remove((index, sample.draw))
                        yield replace(sample, request=index)

    def close(self) -> None:
        """Ends the sampler processes, and the Ray cluster where this object started it."""
        self._closed = True
        for actor in self._actors:
            self._ray.kill(actor)
        self._actors, self._published = [], None
        if self._drawing.acquire(timeout=10):  # a draw of another thread ends with its killed actors
            self._drawing.release()
        if self._owns_ray:
            self._ray.shutdown()
            self._owns_ray = False

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _start_actor(self) -> Any:
        actor_class = self._ray.remote(num_cpus=0, num_gpus=self._gpus)(SamplerActor)
        return actor_class.remote(*self._factories, torch.get_num_threads())


class SamplerActor:
    """The Ray actor: a copy of the policy, and the sampler that draws from it.

    Args:
        policy, sampler: see `RemoteSampler`.
        threads: number of torch threads.
    """

    def __init__(self, policy: Callable[[], Policy], sampler: Callable[[], Sampler], threads: int) -> None:
        torch.set_num_threads(threads)
        self._policy = policy().eval().to("cuda" if torch.cuda.is_available() else "cpu")
        self._sampler = sampler()
        self._version: int | None = None

    def draw(
        self, weights: Weights, version: int, requests: Sequence[Request], sampling: Sampling, seed: int
    ) -> Iterator[list[Sample]]:
        """Yields samples in small batches, as they finish."""
        if version != self._version:
            load_weights(self._policy, weights)
            self._version = version
        batch: list[Sample] = []
        since = time.monotonic()
        for sample in self._sampler.sample(self._policy, requests, sampling, seed):
            batch.append(sample)
            if time.monotonic() - since >= _BATCH_SECONDS:
                yield batch
                batch, since = [], time.monotonic()
        if batch:
            yield batch


def pack_weights(policy: Policy) -> Weights:
    """The trained parameters as bytes: views where the policy is on the CPU."""
    return {
        name: parameter.detach().cpu().contiguous().view(torch.uint8).numpy()
        for name, parameter in policy.named_parameters()
        if parameter.requires_grad
    }


def load_weights(policy: Policy, weights: Weights) -> None:
    """Copies the weights of `pack_weights` into a policy of the same architecture."""
    parameters = dict(policy.named_parameters())
    with torch.no_grad():
        for name, array in weights.items():
            parameter = parameters[name]
            parameter.copy_(torch.from_numpy(array.copy()).view(parameter.dtype).view(parameter.shape))


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]
