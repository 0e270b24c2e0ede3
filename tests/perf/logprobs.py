"""Blocked log-probs against full float32 logits: bytes saved for backward, and speed of forward and backward.

    python tests/perf/logprobs.py [--quick] [--pairs 5]

Both sides return the same log-probs and entropies (8 responses of 512 tokens, vocabulary 32,100), one after the other
in one process on one thread, by the CPU clock; the ratio is the median of paired ratios. `cross_entropy` is the leanest
full-logits path, which returns no entropy; `blocked_alone` is ours without it. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from models import t5_model
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from rltf.policies.forward.logprobs import head_logprobs
from rltf.policies.seq2seq import Seq2SeqPolicy
from rltf.policies.tiny import load_tokenizer

ROWS, TOKENS, SOURCE, VOCABULARY = 8, 512, 64, 32_100
Step = Callable[[], Tensor]


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="width 128 alone, 3 pairs")
    parser.add_argument("--pairs", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    pairs = 3 if arguments.quick else arguments.pairs
    cases = [head_case(width, pairs) for width in ((128,) if arguments.quick else (128, 512))]
    cases.append(policy_case(pairs))
    setting = {"threads": 1, "torch": torch.__version__, "tokens": ROWS * TOKENS, "vocabulary": VOCABULARY}
    print(json.dumps({**setting, "pairs": pairs, "cases": cases}, indent=2))


def head_case(width: int, pairs: int) -> dict[str, Any]:
    """The head alone."""
    torch.manual_seed(0)
    hidden = torch.randn(ROWS * TOKENS, width, requires_grad=True)
    weight = nn.Parameter(torch.randn(VOCABULARY, width) * width**-0.5)
    target = torch.randint(VOCABULARY, (ROWS * TOKENS,))
    paths: dict[str, Step] = {
        "blocked": lambda: head_logprobs(hidden, weight, None, target, None)[0],
        "blocked_alone": lambda: head_logprobs(hidden, weight, None, target, None, entropy=False)[0],
        "full": lambda: full_logits(hidden, weight, target),
        "cross_entropy": lambda: -nn.functional.cross_entropy(hidden @ weight.T, target, reduction="none"),
    }
    return {"case": "head", "width": width, **compare(paths, [hidden, weight], pairs)}


def policy_case(pairs: int) -> dict[str, Any]:
    """`token_logprobs` of a whole small T5 (width 128, 2+2 layers)."""
    torch.manual_seed(0)
    tokenizer = load_tokenizer()
    assert isinstance(tokenizer, PreTrainedTokenizerFast)
    policy = Seq2SeqPolicy(t5_model(VOCABULARY, 128, inner=512).train(), tokenizer, SOURCE)
    prompt, response = torch.randint(3, 500, (ROWS, SOURCE)), torch.randint(3, 500, (ROWS, TOKENS))
    batch = (prompt, torch.ones_like(prompt, dtype=torch.bool), response, torch.ones_like(response, dtype=torch.bool))

    def full() -> Tensor:
        prompts = policy.forward_prompts(*batch[:2], [TOKENS] * ROWS)
        hidden = prompts.response_hidden(torch.arange(ROWS), *batch[2:])
        return full_logits(hidden.flatten(0, 1), policy.model.lm_head.weight, response.flatten())

    paths: dict[str, Step] = {"blocked": lambda: policy.token_logprobs(*batch)[0].flatten(), "full": full}
    return {"case": "t5 2+2 layers", "width": 128, **compare(paths, list(policy.parameters()), pairs)}


def full_logits(hidden: Tensor, weight: Tensor, target: Tensor) -> Tensor:
    """The textbook way, with the entropy that training logs."""
    logprobs = (hidden @ weight.T).float().log_softmax(-1)
    with torch.no_grad():
        -(logprobs.exp() * logprobs).sum(-1)
    return logprobs.gather(-1, target[:, None])[:, 0]


def compare(paths: dict[str, Step], weights: list[Tensor], pairs: int) -> dict[str, Any]:
    """Speed and saved bytes of every path against `blocked`, and how far `full` lies from it."""
    coefficient = torch.randn(ROWS * TOKENS)

    def timed(step: Step) -> float:
        start = time.process_time()
        torch.autograd.grad((step() * coefficient).sum(), weights)
        return time.process_time() - start

    for step in paths.values():  # the first calls pay for memory the later ones find
        timed(step)
    seconds = [{name: timed(step) for name, step in paths.items()} for _ in range(pairs)]
    saved = {name: saved_bytes(step, weights) for name, step in paths.items()}
    result: dict[str, Any] = {"seconds": {n: round(statistics.median(s[n] for s in seconds), 3) for n in paths}}
    for name in paths:
        if name != "blocked":
            ratios = [s[name] / s["blocked"] for s in seconds]
            result[f"speed_over_{name}"] = round(statistics.median(ratios), 3)
            result[f"speeds_over_{name}"] = [round(ratio, 3) for ratio in ratios]
            result[f"saved_bytes_of_{name}"] = round(saved["blocked"] / saved[name], 4)
    result["saved_megabytes"] = {name: round(size / 1e6, 1) for name, size in saved.items()}
    with torch.no_grad():
        result["largest_difference"] = float((paths["blocked"]() - paths["full"]()).abs().max())
    return result


def saved_bytes(step: Step, weights: list[Tensor]) -> int:
    """Bytes kept for backward, each storage once, parameters left out."""
    parameters = {weight.untyped_storage().data_ptr() for weight in weights if isinstance(weight, nn.Parameter)}
    sizes: dict[int, int] = {}

    def record(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in parameters:
            sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(record, lambda tensor: tensor):
        result = step()
        del result
    return sum(sizes.values())


if __name__ == "__main__":
    main()
