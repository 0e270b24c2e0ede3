"""`generation=server` against a small server in this process, which answers as vLLM and SGLang document and draws from
the weights of a folder."""

from __future__ import annotations

import csv
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir

from rltf.commands.train import train
from rltf.generation.hf import HFSampler
from rltf.generation.server import ServerSampler
from rltf.policies.load import pretrained
from rltf.policies.tiny import tiny_causal
from rltf.rollouts.self_check import check_sampler
from rltf.types import FinishReason, Request, Sampling

CONFIGS = Path(__file__).parents[2] / "configs"
PROMPTS = [(70, 71, 72), (80, 81, 82, 83, 84)]


class Backend:
    """What the server serves: a policy read from a folder, and switches of what goes wrong."""

    def __init__(self, folder: Path) -> None:
        self.lock = threading.Lock()
        self.calls: list[str] = []
        self.failures = 0
        """Requests that are answered by status 503 from now on."""
        self.context = 200
        self.served, self.keeps_weights, self.raw_logprobs, self.no_logprobs, self.shift = (
            "tiny",
            False,
            False,
            False,
            0,
        )
        self.load(folder)

    def load(self, folder: Path) -> None:
        self.policy = pretrained(name="tiny", path=str(folder), max_prompt_tokens=64)

    def draw(self, ids: list[int], stop: list[str], sampling: Sampling, greedy: bool, seed: int) -> tuple[Any, Any]:
        """Token ids and log-probs of one program, by transformers' own forward."""
        request = Request("p", tuple(ids), () if greedy else (0,), greedy=greedy, stop=tuple(stop))
        with self.lock:
            [sample] = HFSampler().sample(self.policy, [request], sampling, seed)
            logprobs = list(sample.logprobs)
            if self.raw_logprobs:
                everywhere = [torch.ones(1, n, dtype=torch.bool) for n in (len(ids), len(sample.token_ids))]
                both = torch.tensor([ids]), torch.tensor([sample.token_ids])
                logprobs = self.policy.token_logprobs(both[0], everywhere[0], both[1], everywhere[1])[0][0].tolist()
        return list(sample.token_ids), logprobs

    def answer(self, path: str, body: dict[str, Any]) -> Any:
        self.calls.append(path)
        if path == "/v1/models":
            return {"data": [{"id": self.served, "max_model_len": self.context}]}
        if path == "/tokenize":
            tokens = self.policy.tokenizer.encode(body["prompt"], add_special_tokens=body["add_special_tokens"])
            return {"tokens": [token + self.shift for token in tokens]}
        if path == "/v1/completions":
            assert body["ignore_eos"] is True
            assert (body["repetition_penalty"], body["return_tokens_as_token_ids"]) == (1.0, True)
            greedy = body["temperature"] == 0
            sampling = Sampling(max_new_tokens=body["max_tokens"])
            if not greedy:
                sampling = Sampling(
                    body["temperature"], body["top_p"], body["top_k"], body["min_p"], body["max_tokens"]
                )
            token_ids, logprobs = self.draw(body["prompt"], body.get("stop", []), sampling, greedy, body.get("seed", 0))
            tokens = [f"token_id:{token}" for token in token_ids]
            return {"choices": [{"logprobs": {"tokens": tokens, "token_logprobs": logprobs}} | self._without()]}
        if path == "/collective_rpc":
            assert body["method"] == "reload_weights"
            if not self.keeps_weights:
                self.load(Path(body["kwargs"]["weights_path"]))
            return {"results": [None]}
        if path == "/reset_prefix_cache":
            return None
        if path == "/generate":
            params = body["sampling_params"]
            greedy = params["temperature"] == 0
            sampling = Sampling(params["temperature"] or 1.0, max_new_tokens=params["max_new_tokens"])
            seed = params.get("sampling_seed", 0)
            drawn = self.draw(body["input_ids"], params["stop"] or [], sampling, greedy, seed)
            return {
                "meta_info": {"output_token_logprobs": [[lp, token, None] for token, lp in zip(*drawn, strict=True)]}
            }
        if path == "/update_weights_from_disk":
            if not self.keeps_weights:
                self.load(Path(body["model_path"]))
            return {"success": not self.keeps_weights, "message": "no such file"}
        raise KeyError(path)

    def _without(self) -> dict[str, None]:
        return {"logprobs": None} if self.no_logprobs else {}


@pytest.fixture
def policy() -> Any:
    """A tiny policy whose tokens are unlike in probability."""
    policy = tiny_causal(d_model=32, d_ff=32, layers=1).eval()
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter *= 6 if parameter.dim() == 2 else 1
    return policy


@pytest.fixture
def backend(policy: Any, tmp_path: Path) -> Iterator[Backend]:
    """A server on this machine that serves the policy; `url` is its address."""
    policy.export(tmp_path / "start")
    backend = Backend(tmp_path / "start")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.respond({})

        def do_POST(self) -> None:
            self.respond(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def respond(self, body: dict[str, Any]) -> None:
            status, text = 200, b""
            try:
                answer = backend.answer(self.path, body)
                text = b"" if answer is None else json.dumps(answer).encode()
            except KeyError:
                status, text = 404, b"Not Found"
            if backend.failures:
                backend.failures -= 1
                status, text = 503, b"busy"
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    backend.url = f"http://127.0.0.1:{server.server_port}"
    yield backend
    server.shutdown()
    thread.join()
    server.server_close()


def requests(**fields: Any) -> list[Request]:
    return [Request(f"p{i}", ids, (0, 1, 2), **fields) for i, ids in enumerate(PROMPTS)]


def by_name(samples: Any) -> dict[tuple[int, int], Any]:
    return {(sample.request, sample.draw): sample for sample in samples}


def gap_to_trainer(policy: Any, samples: dict[Any, Any], sampling: Sampling) -> float:
    """Largest difference between a sampled log-prob and the trainer's."""
    gaps = []
    for sample in samples.values():
        prompt, response = torch.tensor([PROMPTS[sample.request]]), torch.tensor([sample.token_ids])
        everywhere = [torch.ones_like(ids, dtype=torch.bool) for ids in (prompt, response)]
        how = None if sample.draw == -1 else sampling
        expected = policy.token_logprobs(prompt, everywhere[0], response, everywhere[1], how)[0][0]
        gaps.append((expected.detach() - torch.tensor(sample.logprobs)).abs().max())
    return float(max(gaps))


def change(policy: Any) -> None:
    """Another policy, as an optimiser step would make it."""
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter += 0.3 * parameter.std().nan_to_num() * torch.randn_like(parameter)


@pytest.mark.parametrize("api", ["vllm", "sglang"])
def test_programs_and_log_probs_are_exact_before_and_after_new_weights(api, policy, backend, tmp_path):
    sampler = ServerSampler(f"{backend.url}/v1", api=api, weights=str(tmp_path / "pushed"))
    sampling = Sampling(temperature=0.7, top_p=0.9 if api == "vllm" else 1.0, max_new_tokens=12)
    check_sampler(policy, sampler, 12)
    for _ in range(2):
        samples = by_name(sampler.sample(policy, requests(greedy=True), sampling, 7))
        assert samples.keys() == {(i, draw) for i in range(2) for draw in (-1, 0, 1, 2)}
        assert gap_to_trainer(policy, samples, sampling) < 1e-5
        greedy = by_name(HFSampler().sample(policy, requests(greedy=True), sampling, 7))
        assert all(samples[i, -1].token_ids == greedy[i, -1].token_ids for i in range(2))
        assert samples == by_name(sampler.sample(policy, requests(greedy=True), sampling, 7))
        change(policy)
    assert sampler.pushes == 2  # the first draw's, and that of the changed weights; equal ones are not sent again


def test_prefixes_and_stop_strings(policy, backend):
    sampler, sampling = ServerSampler(backend.url), Sampling(max_new_tokens=12)
    whole = by_name(sampler.sample(policy, requests(), sampling, 7))[0, 1]
    text, offsets = policy.decode(whole.token_ids)
    stop = text[offsets[2][0] : offsets[3][1]]
    stopped = by_name(sampler.sample(policy, requests(stop=(stop,)), sampling, 7))[0, 1]
    assert stopped.finish is FinishReason.STOP
    assert stopped.token_ids == whole.token_ids[: len(stopped.token_ids)]
    assert stop in policy.decode(stopped.token_ids)[0]
    greedy = by_name(sampler.sample(policy, [Request("p0", PROMPTS[0], (), greedy=True)], sampling, 7))[0, -1]
    prefixed = Request("p0", PROMPTS[0], (), greedy=True, prefix_ids=greedy.token_ids[:3])
    [rest] = sampler.sample(policy, [prefixed], Sampling(max_new_tokens=9), 7)
    assert rest.token_ids == greedy.token_ids[3:]


def test_weights_may_be_so_many_updates_old_in_training_and_never_in_evaluation(policy, backend, tmp_path):
    sampler = ServerSampler(backend.url, weights=str(tmp_path / "pushed"), max_stale_updates=3)
    assert sampler.refresh(policy, 5) == 5
    change(policy)
    assert [sampler.refresh(policy, version) for version in (6, 8)] == [5, 5]
    samples = by_name(sampler.sample(policy, requests(), Sampling(max_new_tokens=4), 7))
    assert gap_to_trainer(backend.policy, samples, Sampling()) < 1e-5  # of the old weights
    assert sampler.refresh(policy, 9) == 9
    assert sampler.pushes == 2
    change(policy)
    assert sampler.refresh(policy, 0) == 0
    assert sampler.pushes == 3
    samples = by_name(sampler.sample(policy, requests(), Sampling(max_new_tokens=4), 7))
    assert gap_to_trainer(policy, samples, Sampling()) < 1e-5


def test_a_server_that_was_busy_is_asked_again_and_an_abandoned_draw_leaves_no_thread(policy, backend):
    sampler = ServerSampler(backend.url, retries=2)
    backend.failures = 1
    samples = sampler.sample(policy, requests(), Sampling(max_new_tokens=4), 7)
    next(samples)
    samples.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("rltf-server")]
    assert len(list(sampler.sample(policy, requests(), Sampling(max_new_tokens=4), 7))) == 6


@pytest.mark.parametrize(
    ("fault", "keys", "sampling", "message"),
    [
        ({"failures": 9}, {"retries": 0}, {}, r"expected a server that answers \(/v1/models: status 503: busy\)"),
        ({}, {"model": "other"}, {}, r"model is 'other': expected one that the server at http\S+ serves: tiny$"),
        (
            {"no_logprobs": True},
            {},
            {},
            r"hold no token ids with log-probs \(TypeError\): expected a server that gives",
        ),
        ({"shift": 1}, {}, {}, r"its tokenizer is another than the policy's"),
        (
            {"raw_logprobs": True},
            {},
            {"temperature": 0.5},
            r"of a drawn program differ .* --logprobs-mode processed_lo",
        ),
        ({"keeps_weights": True}, {"weights": "pushed"}, {}, r"log-probs of a greedy program differ by \S+ nats"),
        ({"keeps_weights": True}, {"weights": "pushed", "api": "sglang"}, {}, r"did not read \S+ \(no such file\)"),
        (
            {},
            {},
            {"max_new_tokens": 196},
            r"max_new_tokens is 196, .* makes 201 tokens: expected at most 200, the serv",
        ),
        ({}, {}, {"min_p": 0.1, "top_p": 0.9}, r"min_p=0.1 and top_p=0.9"),
    ],
)
def test_what_cannot_be_right_is_one_sentence(policy, backend, tmp_path, fault, keys, sampling, message):
    if "weights" in keys:
        change(policy)
        keys = keys | {"weights": str(tmp_path / "pushed")}
    vars(backend).update(fault)
    sampler = ServerSampler(backend.url, **keys)
    with pytest.raises(ValueError, match=message):
        list(sampler.sample(policy, requests(), Sampling(**{"max_new_tokens": 4, **sampling}), 7))


def test_a_policy_that_changes_needs_a_folder_and_a_server_that_reads_it(policy, backend):
    sampler = ServerSampler(backend.url)
    list(sampler.sample(policy, requests(), Sampling(max_new_tokens=2), 7))
    change(policy)
    with pytest.raises(ValueError, match="weights is null and the policy has changed since the server was first asked"):
        list(sampler.sample(policy, requests(), Sampling(max_new_tokens=2), 7))
    with pytest.raises(ValueError, match="max_stale_updates is 2: expected 0 with weights=null"):
        ServerSampler(backend.url, max_stale_updates=2)
    with pytest.raises(ValueError, match=r"expected a server that answers \(/v1/models: ConnectionRefusedError"):
        list(ServerSampler("http://127.0.0.1:9", retries=0).sample(policy, requests(), Sampling(), 7))


@pytest.mark.slow
def test_a_run_trains_on_what_a_server_drew_and_logs_how_old_its_weights_were(backend, tmp_path):
    backend.context = 2048
    sampler = {"url": backend.url, "weights": tmp_path / "pushed", "max_stale_updates": 3}
    options = [f"generation.sampler.{key}={value}" for key, value in sampler.items()]
    options += [
        "generation.sampling.max_new_tokens=64",
        "rollouts.updates=2",
        "trainer.max_epochs=4",
        "trainer.check_val_every_n_epoch=9",
        "report=false",
        "logger=none",
        "evaluation.problems=2",
    ]
    options += ["benchmark.sizes={train: 20, validation: 4, test: 6}", f"paths.output_dir={tmp_path / 'run'}"]
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        train(compose("train", ["debug=default", "model=tiny_causal", "generation=server", *options]))
    with (tmp_path / "run" / "metrics.csv").open() as file:
        ages = [row["generation/stale_updates"] for row in csv.DictReader(file)]
    # Two updates an iteration, of which the last draws nothing: weights of one iteration ago may be used, of two not.
    assert [float(age) for age in ages if age] == [0, 2, 0]
    lines = (tmp_path / "run" / "rollouts.jsonl").read_text().splitlines()
    assert {json.loads(line)["version"] for line in lines} == {4, 8}
