"""How the servers of vLLM and SGLang are asked for a program, and told to read new weights."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rltf.generation.rows import Row
from rltf.generation.vllm import sampling_keywords
from rltf.types import Sampling

Call = tuple[str, Any]
"""Path, and the body of a POST to it."""


@dataclass(frozen=True, slots=True)
class ServerAPI:
    """One kind of server."""

    completion: Callable[[str | None, Row, Sampling, Sequence[int]], Call]
    """(model, row, sampling, end tokens) -> the request of one program."""
    read: Callable[[Any], tuple[tuple[int, ...], tuple[float, ...]]]
    """Its answer -> token ids and log-probs; raises LookupError, TypeError or ValueError where they are not there."""
    reload: Callable[[str, str], Iterable[Call]]
    """(folder, method of vLLM's workers) -> the requests that make the server read its weights."""
    needs: str
    """What gives log-probs of what is drawn."""
    reloads: str
    """What makes a server that reads new weights."""


def vllm_completion(model: str | None, row: Row, sampling: Sampling, end_ids: Sequence[int]) -> Call:
    """vLLM's `/v1/completions`. Penalties are named, or the server would take those of the model's own files."""
    body = {
        "model": model,
        "prompt": [*row.request.prompt_ids, *row.request.prefix_ids],
        "return_tokens_as_token_ids": True,
        "skip_special_tokens": False,
        "repetition_penalty": 1.0,
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
        **sampling_keywords(row, sampling, end_ids),
    }
    del body["detokenize"]  # of the offline engine alone
    return "/v1/completions", {name: value for name, value in body.items() if value is not None}


def read_vllm(answer: Any) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Tokens are strings `token_id:7`."""
    logprobs = answer["choices"][0]["logprobs"]
    token_ids = tuple(int(token.removeprefix("token_id:")) for token in logprobs["tokens"])
    return token_ids, tuple(float(logprob) for logprob in logprobs["token_logprobs"])


def vllm_reload(folder: str, method: str) -> Iterable[Call]:
    """Routes that a server with `VLLM_SERVER_DEV_MODE=1` has."""
    yield "/collective_rpc", {"method": method, "kwargs": {"weights_path": folder}}
    yield "/reset_prefix_cache", {}


def sglang_completion(model: str | None, row: Row, sampling: Sampling, end_ids: Sequence[int]) -> Call:
    """SGLang's `/generate`. It ends at the model's end tokens, too, which are those of the policy."""
    params: dict[str, Any] = {"temperature": 0.0}
    if not row.greedy:
        params = {
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "top_k": sampling.top_k or -1,
            "min_p": sampling.min_p,
            "sampling_seed": row.key >> 33,  # 31 bits
        }
    params |= {
        "max_new_tokens": sampling.max_new_tokens,
        "stop_token_ids": list(end_ids),
        "stop": list(row.request.stop) or None,
        "skip_special_tokens": False,
        "no_stop_trim": True,
    }
    prompt_ids = [*row.request.prompt_ids, *row.request.prefix_ids]
    return "/generate", {"input_ids": prompt_ids, "sampling_params": params, "return_logprob": True}


def read_sglang(answer: Any) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """`output_token_logprobs` holds (log-prob, token id, text)."""
    entries = answer["meta_info"]["output_token_logprobs"]
    return tuple(int(entry[1]) for entry in entries), tuple(float(entry[0]) for entry in entries)


def sglang_reload(folder: str, method: str) -> Iterable[Call]:
    """The server forgets its cached prompts, too."""
    yield "/update_weights_from_disk", {"model_path": folder, "flush_cache": True}


APIS: Mapping[str, ServerAPI] = {
    "vllm": ServerAPI(
        vllm_completion,
        read_vllm,
        vllm_reload,
        needs="vllm serve --logprobs-mode processed_logprobs",
        reloads="vllm serve with VLLM_SERVER_DEV_MODE=1 on a machine that sees the folder",
    ),
    "sglang": ServerAPI(
        sglang_completion,
        read_sglang,
        sglang_reload,
        needs="SGLang's log-probs are after temperature and before top_p, top_k and min_p",
        reloads="sglang.launch_server on a machine that sees the folder",
    ),
}
"""`generation.sampler.api` -> how that server is asked."""
