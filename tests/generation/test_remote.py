"""Sampler processes: the same programs as in this process, from the weights published last, also when one dies."""

import os
import signal
from functools import partial
from pathlib import Path

import pytest
import torch
from rounding import assert_same

from rltf.execution.sandbox.process_tree import descendants
from rltf.generation.engine.engine import Engine
from rltf.generation.remote import RemoteSampler, load_weights, pack_weights
from rltf.policies.tiny import tiny_causal, tiny_t5
from rltf.setup.checks import check_config
from rltf.types import Request, Sampling


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_published_weights_arrive_bit_for_bit_and_frozen_ones_stay(dtype):
    policy, copy = (tiny_causal(layers=1, seed=seed).to(dtype) for seed in (1, 2))
    for frozen in (policy, copy):
        frozen.model.model.norm.weight.requires_grad_(False)
    policy.model.model.norm.weight.data += 1
    load_weights(copy, pack_weights(policy))
    copied, published = dict(copy.named_parameters()), dict(policy.named_parameters())
    differ = [name for name in published if not torch.equal(copied[name], published[name])]
    assert differ == ["model.model.norm.weight"]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["generation.placement=elsewhere"], "generation.placement is 'elsewhere': expected colocated or separate"),
        (["generation.placement=separate", "rollouts.lag=0"], "rollouts.lag is 0 with generation.placement=separate"),
        (
            ["generation.placement=separate", "trainer=ddp"],
            "trainer.strategy starts several processes",
        ),
        (
            ["generation.placement=separate", "generation=server"],
            "generation=server draws outside this process already",
        ),
        (["generation.placement=separate", "generation.hosts.processes=0"], "generation.hosts.processes is 0"),
        (["generation.placement=separate", "generation.refresh=0"], "generation.refresh is 0"),
        (["generation.placement=separate", "generation.max_staleness=0"], "generation.max_staleness is 0"),
    ],
)
def test_what_contradicts_separate_placement_is_named(composed, overrides, message):
    with pytest.raises(ValueError, match=message):
        check_config(composed("train", *overrides), "train")


def actor_pids() -> list[int]:
    """Process ids of the sampler actors."""
    return [
        pid for pid in descendants(os.getpid()) if b"ray::SamplerActor" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]


@pytest.mark.slow
def test_two_processes_draw_what_this_one_draws_also_when_one_is_killed():
    pytest.importorskip("ray", reason="the extra `ray` is not installed")
    make = partial(tiny_t5, layers=2)
    policy = make(seed=5).eval()
    requests = [Request(f"p{i}", (5, 6, 7 + i), tuple(range(40)), greedy=True) for i in range(5)]
    sampling = Sampling(max_new_tokens=60)

    def by_name(samples):
        return {(s.request, s.draw): s for s in samples}

    def assert_drawn(samples, expected):  # rounding depends on what shares a batch
        assert_same(policy, requests, samples, expected, sampling, seed=7)

    with RemoteSampler(make, partial(Engine, max_rows=4), processes=2) as sampler:
        sampler.publish(policy, 3)
        assert sampler.version == 3
        here = by_name(Engine(max_rows=4).sample(policy, requests, sampling, 7))
        assert_drawn(by_name(sampler.sample(policy, requests, sampling, 7)), here)
        stream = sampler.sample(policy, requests, sampling, 7)
        samples = [next(stream)]
        os.kill(actor_pids()[0], signal.SIGKILL)
        samples += stream
        assert sampler.restarts == 1
        assert len(samples) == len(here) == 5 * 41
        assert_drawn(by_name(samples), here)
        with torch.no_grad():
            for parameter in policy.parameters():
                parameter *= 1.5
        sampler.publish(policy, 4)
        there = by_name(sampler.sample(policy, requests, sampling, 7))
        assert_drawn(there, by_name(Engine(max_rows=4).sample(policy, requests, sampling, 7)))
        assert any(there[key].token_ids != sample.token_ids for key, sample in here.items())
    assert not actor_pids()
