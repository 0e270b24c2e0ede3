"""CodeT5+ 2B on a GPU, for check.py: random weights of its shape draw programs and learn from them, in bfloat16."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import torch
from decoding import TINY, Clock, Sizes, requests_of, seconds

from rltf.generation.engine.engine import Engine
from rltf.policies.codet5p.config import CodeT5pConfig
from rltf.policies.codet5p.load import Train, freeze
from rltf.policies.codet5p.model import CodeT5pEncoderDecoderModel
from rltf.policies.codet5p.policy import CodeT5PlusPolicy
from rltf.policies.tiny import load_tokenizer
from rltf.rollouts.collate import collate_programs
from rltf.types import FinishReason, Program, Sample, Sampling

PROMPTS, SAMPLES, STEP_ROWS = 4, 8, 4
"""Prompts, programs of each, and programs in one step of the optimiser."""


def codet5p(device: str, sizes: Sizes, clock: Clock) -> dict[str, Any]:
    """Per choice of `model.train`: tokens drawn a second, seconds of a step of AdamW and of one pass over what was
    drawn, the largest difference of log-probs between sampling and training, and the peak of memory in GB."""
    results: dict[str, Any] = {}
    for train in ("encoder+cross", "all"):
        if clock.allows(90, f"CodeT5+ 2B with model.train={train}"):
            results[train] = _iteration(device, sizes is TINY, train)  # type: ignore[arg-type]
    return results


def _iteration(device: str, tiny: bool, train: Train) -> dict[str, Any]:
    source, new = (24, 12) if tiny else (800, 256)
    if device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    policy = _policy(device, tiny, train)
    vocabulary = policy.model.config.decoder.vocab_size
    prompts = [torch.randint(3, vocabulary, (source,)).tolist() for _ in range(PROMPTS)]
    sampling = Sampling(max_new_tokens=new)
    engine = Engine(max_rows=PROMPTS * SAMPLES, max_cache_tokens=1 << 20)
    samples: list[Sample] = []

    def draw() -> None:
        samples[:] = engine.sample(policy, requests_of(prompts, SAMPLES), sampling, 0)

    first = seconds(device, draw)
    drawing = seconds(device, draw)
    programs = [
        Program(f"p{s.request}", "", tuple(prompts[s.request]), s.token_ids, (), s.logprobs, FinishReason.LENGTH)
        for s in sorted(samples, key=lambda s: (s.request, s.draw))
    ]
    optimiser = torch.optim.AdamW([w for w in policy.parameters() if w.requires_grad], lr=1e-6, foreach=True)
    differences: list[float] = []

    def learn() -> None:
        for start in range(0, len(programs), STEP_ROWS):
            batch = collate_programs(programs[start : start + STEP_ROWS], policy.pad_id, policy.prompt_padding)
            batch = batch.to(torch.device(device))
            with torch.autocast(device, torch.bfloat16):
                logprobs_BT, _ = policy.token_logprobs(
                    batch.prompt_BS, batch.prompt_mask_BS, batch.response_BT, batch.mask_BT
                )
            if start == 0 and not differences:
                drawn = torch.tensor(programs[0].logprobs, device=device)
                differences.append(float((logprobs_BT[0, : len(drawn)].detach() - drawn).abs().max()))
            (-logprobs_BT.sum() / batch.mask_BT.sum()).backward()
            optimiser.step()
            optimiser.zero_grad()

    learning = seconds(device, learn)
    tokens = sum(len(program.token_ids) for program in programs)
    peak = torch.cuda.max_memory_allocated() / 1e9 if device == "cuda" else None
    return {
        "trained_weights_M": round(sum(w.numel() for w in policy.parameters() if w.requires_grad) / 1e6, 1),
        "first_draw_s": round(first, 2),
        "tokens_per_s": round(tokens / drawing, 1),
        "pass_over_what_was_drawn_s": round(learning, 2),
        "step_s": round(learning * STEP_ROWS / len(programs), 3),
        "largest_logprob_difference": differences[0],
        "peak_memory_GB": None if peak is None else round(peak, 1),
    }


def _policy(device: str, tiny: bool, train: Train) -> CodeT5PlusPolicy:
    encoder = {"n_embd": 1024, "n_layer": 20, "n_head": 16, "rotary_dim": 32}
    decoder = {"n_embd": 2560, "n_layer": 32, "n_head": 32, "rotary_dim": 64}
    if tiny:
        encoder = {"n_embd": 32, "n_layer": 2, "n_head": 4, "rotary_dim": 4}
        decoder = {"n_embd": 64, "n_layer": 2, "n_head": 4, "rotary_dim": 8}
    fields = {"vocab_size": 640 if tiny else 51_200, "n_positions": 2048, "eos_token_id": 1, "bos_token_id": 1}
    config = CodeT5pConfig(encoder={**encoder, **fields}, decoder={**decoder, **fields}, decoder_start_token_id=1)
    torch.manual_seed(0)
    with torch.device(device):
        model = CodeT5pEncoderDecoderModel(config)
    freeze(model, train)
    for weight in model.parameters():
        if not weight.requires_grad:
            weight.data = weight.data.bfloat16()
    return CodeT5PlusPolicy(model.train(), load_tokenizer(), 1024)
