"""A server at a distance as the sampler (`generation=server`): one of vLLM or SGLang, with a copy of the weights.

Every program is one request with a seed of its own. Prompt and response travel as token ids with their log-probs, so no
text is encoded anew. New weights are written to a folder that both sides see, which the server is told to read; one
greedy program and one drawn as the run draws are compared with the policy after each time, so a server that has kept
old weights, or whose log-probs are not those of the distribution it draws from, ends the run in one sentence.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from rltf.generation.http_client import HTTPClient, Refusal
from rltf.generation.modes import eval_mode
from rltf.generation.rows import Row, check_lengths, response_end, rows_of, sample_of
from rltf.generation.server_apis import APIS
from rltf.generation.vllm import check_supported
from rltf.policies.base import Policy
from rltf.policies.distribution import check_sampling
from rltf.types import FinishReason, Request, Sample, Sampling
from rltf.validation import OptionError, require

KEY_VARIABLE = "OPENAI_API_KEY"
"""Environment variable with the key that the server asks for, if it does."""
_PROBE = "def f(x):\n    # \u00e4dd \u2713\n    return x  + 1\n"
"""Text whose tokens tell tokenizers apart."""
_PROBE_TOKENS = 8
_TOLERANCE = 1e-2
"""Nats, as in `rltf.rollouts.self_check`; the second where weights are in half precision."""
_HALF_TOLERANCE = 0.5


class ServerSampler:
    """Implements `rltf.generation.sampler.Sampler` and `WeightHolder` by the server at `url`.

    Args:
        url: the server's address, without `/v1`.
        model: the name under which it serves the policy; None: the only one that it serves.
        api: how it is asked. `vllm`: `/v1/completions` and `/collective_rpc`; `sglang`: `/generate` and
            `/update_weights_from_disk`.
        weights: folder that both sides see under this name, to which new weights are written; None: the server's never
            change.
        reload: method of vLLM's workers that reads the folder. `reload_weights` is its own, `reload_weights_and_head`
            that of `rltf.generation.vllm_worker`, which a tied head on a CPU needs.
        max_stale_updates: optimiser steps that the server's weights may be behind the policy's in training. Held-out
            programs are always drawn from the present weights.
        max_rows: requests open at once.
        timeout: seconds to wait for one answer.
        retries: further tries of a request that the server did not answer; the wait doubles from one second on.

    Raises:
        OptionError: an option makes no sense.

    Example:
        >>> ServerSampler("localhost:8000")
        Traceback (most recent call last):
        rltf.validation.OptionError: url is 'localhost:8000': expected the address of a server, e.g. http://localhost:8000
    """

    def __init__(
        self,
        url: str | None = None,
        model: str | None = None,
        api: Literal["vllm", "sglang"] = "vllm",
        weights: str | None = None,
        reload: str = "reload_weights",
        max_stale_updates: int = 0,
        max_rows: int = 64,
        timeout: float = 600.0,
        retries: int = 3,
    ) -> None:
        require("api", api, choices=APIS)
        require("max_stale_updates", max_stale_updates, at_least=0, whole=True)
        require("max_rows", max_rows, at_least=1, whole=True)
        require("timeout", timeout, above=0)
        require("retries", retries, at_least=0, whole=True)
        if max_stale_updates and weights is None:
            raise OptionError("max_stale_updates", max_stale_updates, "0 with weights=null, which are never renewed")
        self._client = HTTPClient(url, timeout, retries, os.environ.get(KEY_VARIABLE))
        self._api = APIS[api]
        self._model, self._max_rows = model, max_rows
        self._folder = None if weights is None else Path(weights).expanduser().absolute()
        self._reload, self._max_stale_updates = reload, max_stale_updates
        self._served: tuple[tuple[int, ...], int] | None = None
        """Checksum of the server's weights, and the optimiser steps behind them."""
        self._longest: int | None = None
        """Most tokens of prompt and response that the server takes; None: it does not say."""
        self._compared: set[Sampling] = set()
        """Distributions of which a program was compared since the weights were renewed."""
        self._is_refreshed = self._is_exact = False
        self.pushes = 0
        """Times that the weights were renewed."""

    def refresh(self, policy: Policy, version: int) -> int:
        """Renews the server's weights where they are older than allowed.

        Args:
            policy: whose weights the next call of `sample` draws from.
            version: optimiser steps behind them; 0: they are to be drawn from exactly.

        Returns:
            Optimiser steps behind the weights that the server has now.

        Raises:
            ValueError: they cannot be renewed.
        """
        if self._served is None:
            self._connect(policy)
        checksum = weight_checksum(policy)
        self._is_refreshed = True
        self._is_exact = self._served is None or self._served[0] == checksum
        if not self._is_exact:
            assert self._served is not None
            behind = version - self._served[1]
            if version and 0 <= behind <= self._max_stale_updates:
                return self._served[1]
            if self._folder is None:
                raise ValueError(
                    "generation.sampler.weights is null and the policy has changed since the server was first asked: "
                    "expected a folder that both see, or a policy that is not trained (eval.py, rollouts.online=false)"
                )
        if self._folder is not None and (self._served is None or not self._is_exact):
            self._push(policy, self._folder)
        self._served, self._is_exact = (checksum, version), True
        return version

    def sample(self, policy: Policy, requests: Sequence[Request], sampling: Sampling, seed: int) -> Iterator[Sample]:
        """Yields each sample as it comes. From the present weights, unless `refresh` was called before and kept older
        ones."""
        check_sampling(sampling)
        check_lengths(policy, requests, sampling)
        check_supported(policy, sampling, "server")
        rows = rows_of(requests, seed)
        if not rows:
            return
        if not self._is_refreshed:
            self.refresh(policy, 0)
        self._is_refreshed = False
        longest = max(len(r.prompt_ids) + len(r.prefix_ids) for r in requests) + sampling.max_new_tokens
        if self._longest is not None and longest > self._longest:
            raise ValueError(
                f"generation.sampling.max_new_tokens is {sampling.max_new_tokens}, which with its prompt makes "
                f"{longest} tokens: expected at most {self._longest}, the server's context"
            )
        distribution = replace(sampling, max_new_tokens=1)
        if self._is_exact and distribution not in self._compared:
            self._compare(policy, sampling)
            self._compared.add(distribution)
        pool = ThreadPoolExecutor(self._max_rows, thread_name_prefix="rltf-server")
        try:
            futures = {pool.submit(self._draw, policy, row, sampling): row for row in rows}
            for future in as_completed(futures):
                token_ids, logprobs = future.result()
                end = response_end(policy, futures[future], token_ids, sampling.max_new_tokens)
                # It matches stop strings in text that it decodes otherwise.
                length, reason = end or (len(token_ids), FinishReason.STOP)
                yield sample_of(futures[future], token_ids, logprobs, length, reason)
        finally:  # also where the caller closes this iterator early: the server gives up what nobody reads
            pool.shutdown(wait=False, cancel_futures=True)
            with self._client.aborted():
                pool.shutdown()

    def _draw(self, policy: Policy, row: Row, sampling: Sampling) -> tuple[tuple[int, ...], tuple[float, ...]]:
        path, body = self._api.completion(self._model, row, sampling, policy.end_ids)
        answer = self._client.post(path, body)
        try:
            token_ids, logprobs = self._api.read(answer)
        except (LookupError, TypeError, ValueError) as error:
            raise self._mistake(
                f"answers to {path} hold no token ids with log-probs ({type(error).__name__})",
                f"a server that gives both ({self._api.needs})",
            ) from error
        rows = policy.model.get_input_embeddings().weight.shape[0]
        if not token_ids or not 0 <= min(token_ids) <= max(token_ids) < rows:
            raise self._mistake(f"it drew the tokens {token_ids[:8]}", f"at least one, and ids below {rows}")
        return token_ids, logprobs

    def _connect(self, policy: Policy) -> None:
        """Asks what the server serves, and for the tokens of a text."""
        models = {str(row["id"]): row for row in self._client.get("/v1/models").get("data", ())}
        if self._model is None and len(models) == 1:
            self._model = next(iter(models))
        if self._model not in models:
            raise ValueError(
                f"generation.sampler.model is {self._model!r}: expected one that the server at {self._client.url} "
                f"serves: {', '.join(models) or 'it serves none'}"
            )
        self._longest = models[self._model].get("max_model_len")
        try:
            body = {"model": self._model, "prompt": _PROBE, "add_special_tokens": False}
            tokens = self._client.post("/tokenize", body)["tokens"]
        except Refusal as refusal:
            if refusal.status not in (404, 405):  # one that does not say is compared by its programs alone
                raise
            return
        if list(tokens) != policy.tokenizer.encode(_PROBE, add_special_tokens=False):
            raise self._mistake("its tokenizer is another than the policy's", "a server of this policy's folder")

    def _push(self, policy: Policy, folder: Path) -> None:
        """Writes the weights and has the server read them."""
        policy.export(folder)
        for path, body in self._api.reload(str(folder), self._reload):
            try:
                answer = self._client.post(path, body)
            except Refusal as refusal:
                if refusal.status not in (404, 405):
                    raise
                raise self._mistake(f"it has no {path}", self._api.reloads) from None
            if isinstance(answer, dict) and answer.get("success") is False:
                raise self._mistake(f"it did not read {folder} ({answer.get('message')})", self._api.reloads)
        self._compared.clear()
        self.pushes += 1

    def _compare(self, policy: Policy, sampling: Sampling) -> None:
        """Refuses a server whose log-probs are not the policy's, for a greedy program and one of the distribution."""
        prompt_ids = tuple(policy.tokenizer.encode(_PROBE, add_special_tokens=False))
        short = replace(sampling, max_new_tokens=min(_PROBE_TOKENS, sampling.max_new_tokens))
        in_half = any(weight.dtype in (torch.float16, torch.bfloat16) for weight in policy.model.parameters())
        tolerance = _HALF_TOLERANCE if in_half else _TOLERANCE
        for row in rows_of([Request("server-check", prompt_ids, (0,), greedy=True)], seed=0):
            token_ids, logprobs = self._draw(policy, row, short)
            expected = _policy_logprobs(policy, prompt_ids, token_ids, None if row.greedy else short)
            gap = float((expected - torch.tensor(logprobs)).abs().max())
            if not gap <= tolerance:
                raise self._mistake(
                    f"its log-probs of a {'greedy' if row.greedy else 'drawn'} program differ by {gap:.2g} nats from "
                    "the policy's",
                    f"the policy's weights in its precision, and log-probs of what is drawn ({self._api.needs})",
                )

    def _mistake(self, what: str, expected: str) -> ValueError:
        return ValueError(f"generation.sampler.url is {self._client.url!r}: {what}: expected {expected}")


def weight_checksum(policy: Policy) -> tuple[int, ...]:
    """A number for each parameter, the sum of its values' bits, which any optimiser step changes."""
    integers = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
    sums = [
        parameter.detach().contiguous().view(integers[parameter.element_size()]).sum(dtype=torch.int64)
        for parameter in policy.parameters()
    ]
    return tuple(torch.stack(sums).tolist())


def _policy_logprobs(
    policy: Policy, prompt_ids: Sequence[int], token_ids: Sequence[int], sampling: Sampling | None
) -> Tensor:
    """log-probs (T,) of drawn tokens as the trainer computes them."""
    prompt, response = (torch.tensor([ids], device=policy.model.device) for ids in (prompt_ids, token_ids))
    masks = [torch.ones_like(ids, dtype=torch.bool) for ids in (prompt, response)]
    with eval_mode(policy):
        return policy.token_logprobs(prompt, masks[0], response, masks[1], sampling, entropy=False)[0][0].cpu()
