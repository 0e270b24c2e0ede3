"""`generation=server` with vLLM's own server on this machine, where vllm is installed (`make vllm-check`)."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from importlib.util import find_spec

import pytest
from vllm_policies import by_name, change, gap_to_trainer, random_llama, random_requests

from rltf.generation.engine.engine import Engine
from rltf.generation.server import ServerSampler
from rltf.rollouts.self_check import check_sampler
from rltf.types import FinishReason, Request, Sampling

pytestmark = pytest.mark.slow

SAMPLING = Sampling(temperature=0.7, top_p=0.9, top_k=40, max_new_tokens=24)
START_SECONDS = 1800


@pytest.fixture(scope="module", params=["tied", "untied"])
def served(request, tmp_path_factory):
    """A policy, and the address of a server that was started from its folder."""
    if find_spec("vllm") is None:
        pytest.skip("vllm is not installed")
    policy, folder = random_llama(request.param == "tied"), tmp_path_factory.mktemp("served")
    policy.export(folder)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = f"--host 127.0.0.1 --port {port} --dtype float32 --max-model-len 96 --max-num-seqs 16 --enforce-eager"
    # `vllm serve`, whose script asks for the version of a package vllm, which the CPU build is not called
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", folder, *options.split()]
    command += ["--logprobs-mode", "processed_logprobs"]
    command += ["--worker-extension-cls", "rltf.generation.vllm_worker.WorkerExtension"]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(
            command,
            env=os.environ | {"VLLM_SERVER_DEV_MODE": "1", "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        wait_for(f"http://127.0.0.1:{port}/health", server, folder / "log")
        yield policy, f"http://127.0.0.1:{port}"
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)


def wait_for(url, server, log):
    deadline = time.monotonic() + START_SECONDS
    while True:
        assert server.poll() is None, log.read_text()[-4000:]
        assert time.monotonic() < deadline, log.read_text()[-4000:]
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except OSError:
            time.sleep(1)
        else:
            return


def test_a_server_draws_what_the_trainer_would_before_and_after_its_weights_are_renewed(served, tmp_path):
    policy, url = served
    sampler = ServerSampler(url, weights=str(tmp_path / "pushed"), reload="reload_weights_and_head", timeout=120)
    check_sampler(policy, sampler, 8)
    requests = random_requests(greedy=True)
    for renewal in range(3):
        samples = by_name(sampler.sample(policy, requests, SAMPLING, 7))
        native = by_name(Engine().sample(policy, requests, SAMPLING, 7))
        assert all(samples[i, -1].token_ids == native[i, -1].token_ids for i in range(3))
        assert gap_to_trainer(policy, requests, samples, SAMPLING) < 1e-4
        assert len({sample.token_ids for sample in samples.values()}) == 15
        change(policy, renewal, ("embed_tokens", "", "norm")[renewal])
    assert sampler.pushes == 3


def test_stop_strings_prefixes_and_an_abandoned_draw(served, tmp_path):
    policy, url = served
    own = ServerSampler(url, weights=str(tmp_path / "pushed"), timeout=120)
    requests = random_requests(greedy=True)
    change(policy, 3)
    if policy.model.config.tie_word_embeddings:  # vLLM's own method leaves the packed head as it was, which is seen
        with pytest.raises(ValueError, match=r"log-probs of a greedy program differ by \S+ nats from the policy's"):
            list(own.sample(policy, requests, SAMPLING, 7))
    else:
        assert len(list(own.sample(policy, requests, SAMPLING, 7))) == 15
    sampler = ServerSampler(url, weights=str(tmp_path / "pushed"), reload="reload_weights_and_head", timeout=120)
    whole = by_name(sampler.sample(policy, requests, SAMPLING, 7))
    text = policy.decode(whole[1, 2].token_ids)[0]
    [stopped] = sampler.sample(policy, [Request("p1", requests[1].prompt_ids, (2,), stop=(text[4:7],))], SAMPLING, 7)
    assert stopped.finish is FinishReason.STOP
    assert stopped.token_ids == whole[1, 2].token_ids[: len(stopped.token_ids)]
    greedy = whole[2, -1].token_ids
    prefixed = Request("p2", requests[2].prompt_ids, (), greedy=True, prefix_ids=greedy[:10])
    [rest] = sampler.sample(policy, [prefixed], SAMPLING, 7)
    assert rest.token_ids[:14] == greedy[10:]
    abandoned = sampler.sample(policy, requests, SAMPLING, 7)
    next(abandoned)
    abandoned.close()
    again = by_name(sampler.sample(policy, requests, SAMPLING, 7))
    assert {key: sample.token_ids for key, sample in again.items()} == {
        key: sample.token_ids for key, sample in whole.items()
    }
    with pytest.raises(ValueError, match=r"model is 'other': expected one that the server at \S+ serves: /"):
        list(ServerSampler(url, model="other").sample(policy, requests, SAMPLING, 7))
