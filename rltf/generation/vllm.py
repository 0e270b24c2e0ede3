"""vLLM as the sampler (`generation=vllm`, an extra): causal models only, weights refreshed in place before every draw.

vLLM keeps a copy of the weights in its own layout, in this process. It draws a program by a seed and has none of our
random streams: a program still depends on (seed, problem, draw) and the weights alone, but `native` and `vllm` draw
different ones, and kernels that round by batch shape may move a token. Log-probs are taken after temperature and
truncation (`processed_logprobs`): under the distribution that the trainer renormalises, too.
"""

from __future__ import annotations

import os
import random
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, distributed

from rltf.generation.rows import Row, check_lengths, rows_of, stop_length
from rltf.policies.base import Policy
from rltf.policies.distribution import check_sampling
from rltf.policies.quantization import quantized_layers
from rltf.types import FinishReason, Request, Sample, Sampling
from rltf.validation import require, requirement


class VLLMSampler:
    """Implements `rltf.generation.sampler.Sampler` by vLLM's offline engine, made at the first draw.

    Args:
        memory_share: of the GPU's memory that vLLM takes for its copy of the weights and for keys and values.
        max_rows: rows decoded at once, at most.
        eager: run without CUDA graphs: slower, ready sooner.
        options: further keywords of `vllm.LLM`.

    Raises:
        ValueError: vllm is not installed, or finds no device.

    Example:
        >>> VLLMSampler(memory_share=2.0)
        Traceback (most recent call last):
        rltf.validation.OptionError: memory_share is 2.0: expected a number above 0 and below 1
    """

    def __init__(
        self,
        memory_share: float = 0.3,
        max_rows: int = 256,
        eager: bool = False,
        options: dict[str, Any] | None = None,
    ) -> None:
        require("memory_share", memory_share, above=0, below=1)
        require("max_rows", max_rows, at_least=1, whole=True)
        self._vllm = import_vllm()
        self._options = {
            "gpu_memory_utilization": memory_share,
            "max_num_seqs": max_rows,
            "enforce_eager": eager,
            **(options or {}),
        }
        self._llm: Any = None
        self._max_tokens = 0
        """Tokens of prompt and response that vLLM was started for."""
        self._request_count = 0
        """Requests so far; each needs a name."""

    def sample(self, policy: Policy, requests: Sequence[Request], sampling: Sampling, seed: int) -> Iterator[Sample]:
        """Yields each sample as it ends. The weights must not change before the last one is read."""
        check_sampling(sampling)
        check_lengths(policy, requests, sampling)
        check_supported(policy, sampling)
        rows = rows_of(requests, seed)
        if not rows:
            return
        longest = max(len(r.prompt_ids) + len(r.prefix_ids) for r in requests) + sampling.max_new_tokens
        if self._llm is None:
            self._max_tokens = max(longest, policy.max_prompt_tokens + sampling.max_new_tokens)
            self._llm = self._start(policy)
        elif longest > self._max_tokens:
            raise ValueError(
                f"generation.sampling.max_new_tokens is {sampling.max_new_tokens}, which with its prompt makes "
                f"{longest} tokens: vLLM was started for {self._max_tokens}"
            )
        else:
            self._load_weights(policy)
        yield from self._draw(policy, rows, sampling)

    def _draw(self, policy: Policy, rows: Sequence[Row], sampling: Sampling) -> Iterator[Sample]:
        engine = self._llm.llm_engine
        waiting = {}
        for row in rows:
            self._request_count += 1
            name = str(self._request_count)
            waiting[name] = row
            prompt = {"prompt_token_ids": [*row.request.prompt_ids, *row.request.prefix_ids]}
            engine.add_request(name, prompt, self._sampling_params(sampling_keywords(row, sampling, policy.end_ids)))
        try:
            while engine.has_unfinished_requests():
                for output in engine.step():
                    if output.finished:
                        # An engine may append to the name of a request.
                        row = waiting.pop(output.request_id.partition("-")[0])
                        yield sample_of(policy, row, output.outputs[0])
        finally:
            engine.abort_request(list(waiting))  # where the caller closes this iterator early

    def _sampling_params(self, values: dict[str, Any]) -> Any:
        output_kind = self._vllm.sampling_params.RequestOutputKind.FINAL_ONLY
        return self._vllm.SamplingParams(**values, output_kind=output_kind)

    def _start(self, policy: Policy) -> Any:
        """vLLM, started from a folder to which the policy is exported."""
        # vLLM seeds this process's generators when it starts.
        with tempfile.TemporaryDirectory(prefix="rltf-vllm-") as folder, isolated_random_state():
            policy.export(Path(folder))
            return self._vllm.LLM(
                model=folder,
                max_model_len=self._max_tokens,
                dtype=str(policy.model.dtype).removeprefix("torch."),
                generation_config="vllm",  # not the model's own: `generation.sampling` alone says how tokens are drawn
                logprobs_mode="processed_logprobs",
                enable_prefix_caching=True,  # a prompt is run once for all its programs
                **self._options,
            )

    def _load_weights(self, policy: Policy) -> None:
        """Copies the present weights into vLLM, and drops what it has cached of the old ones."""
        with policy.merged_adapters():
            weights = exported_weights(policy)
            self._llm.collective_rpc("reload_weights", kwargs={"weights_iterator": weights})
        if policy.model.config.tie_word_embeddings:
            self._llm.apply_model(prepare_tied_head)
        self._llm.reset_prefix_cache()


@contextmanager
def isolated_random_state() -> Iterator[None]:
    """Afterwards, the generators of Python, NumPy and torch are as before."""
    python_state, numpy_state = random.getstate(), np.random.get_state()
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    try:
        with torch.random.fork_rng(devices=devices):
            yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)


def import_vllm() -> Any:
    """The package vllm.

    Raises:
        ValueError: it is not installed, or knows no device of this machine.
    """
    # The engine in this process: weights are handed over by reference, not through a pipe. Read when vllm is imported.
    os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
    try:
        import vllm
        import vllm.sampling_params
        from vllm.platforms import current_platform
    except ImportError:
        raise ValueError(
            f"generation=vllm needs the package vllm: install it with `pip install '{requirement('vllm')}'`, or use "
            "generation=native"
        ) from None
    if not current_platform.device_type:
        raise ValueError("generation=vllm finds no device that this build of vllm runs on: use generation=native")
    return vllm


def check_supported(policy: Policy, sampling: Sampling, choice: str = "vllm") -> None:
    """Refuses policies and sampling options that vLLM does not support, or treats otherwise than the trainer.

    Args:
        policy, sampling: of the draw.
        choice: the choice of `generation=` that asks.

    Raises:
        ValueError: what is not supported, and what to do instead.
    """
    if policy.model.config.is_encoder_decoder:
        raise ValueError(
            f"generation={choice} serves causal models and {type(policy.model).__name__} is an encoder-decoder: use "
            "generation=native"
        )
    if quantized_layers(policy.model):
        raise ValueError(
            f"generation={choice} copies whole weights and the policy's are in 4 bits (model.quantization): use "
            "generation=hf or generation=auto"
        )
    if sampling.min_p > 0 and sampling.top_p < 1:
        raise ValueError(
            f"generation.sampling has min_p={sampling.min_p} and top_p={sampling.top_p}: vLLM applies them in another "
            "order than the trainer, so use one of them"
        )
    if distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1:
        raise ValueError(
            f"generation={choice} works with one training process: use generation=native with this trainer"
        )


def sampling_keywords(row: Row, sampling: Sampling, end_ids: Sequence[int]) -> dict[str, Any]:
    """Keywords of `vllm.SamplingParams` for one program. It ends at the policy's end tokens alone, whatever list vLLM
    reads in the model's files."""
    randomness = {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "min_p": sampling.min_p,
        "seed": row.key >> 1,  # 63 bits
    }
    return {
        **({"temperature": 0.0} if row.greedy else randomness),
        "max_tokens": sampling.max_new_tokens,
        "ignore_eos": True,
        "stop_token_ids": list(end_ids),
        "stop": list(row.request.stop) or None,
        "detokenize": bool(row.request.stop),
        "logprobs": 0,  # of the drawn tokens alone
    }


def sample_of(policy: Policy, row: Row, completion: Any) -> Sample:
    """A `vllm.CompletionOutput` as our record. Stop strings are looked for anew: vLLM decodes a little otherwise."""
    token_ids = tuple(completion.token_ids)
    logprobs = tuple(entry[token].logprob for token, entry in zip(token_ids, completion.logprobs, strict=True))
    length = stop_length(policy, token_ids, row.request.stop)
    if length is not None:
        return Sample(row.request_index, row.draw, token_ids[:length], logprobs[:length], FinishReason.STOP)
    if token_ids[-1] in policy.end_ids:
        reason = FinishReason.EOS
    else:
        reason = FinishReason.LENGTH if completion.finish_reason == "length" else FinishReason.STOP
    return Sample(row.request_index, row.draw, token_ids, logprobs, reason)


def exported_weights(policy: Policy) -> Iterator[tuple[str, Tensor]]:
    """Names and tensors as in an exported folder; to be read inside `policy.merged_adapters()`."""
    for name, tensor in policy.model.named_parameters():
        if ".lora_" not in name:
            yield name.replace(".base_layer.", "."), tensor.detach()


def prepare_tied_head(model: Any) -> None:
    """A tied head has the embedding's new weights already, but not what vLLM's CPU build made of the old ones."""
    model.lm_head.quant_method.process_weights_after_loading(model.lm_head)
