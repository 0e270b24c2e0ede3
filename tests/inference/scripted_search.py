"""A policy of characters and a sampler that plays from a script: searches can be followed by hand."""

from __future__ import annotations

from rltf.algorithms.advantages import Advantages
from rltf.benchmarks.base import Benchmark
from rltf.execution import LocalExecutor
from rltf.rewards.base import RewardStack
from rltf.rewards.coarse import Coarse
from rltf.rollouts.clock import PhaseClock
from rltf.rollouts.pipeline import RolloutPipeline
from rltf.types import AssertTest, Extraction, FinishReason, Problem, Prompt, Sample

EXAMPLE = AssertTest("assert f(1) == 2")
HIDDEN = AssertTest("assert f(5) == 6  # HIDDEN")
RIGHT, SHORTCUT, WRONG = "def f(x): return x + 1", "def f(x): return 2", "def f(x): return 0"
CRASH = "def f(x): return y"


class Letters:
    """Token = character; 0 ends a program."""

    eos_id, end_ids, context = 0, (0,), None

    def __init__(self, name="policy"):
        self.name, self.prompts = name, []
        self.model = self
        self.device = "cpu"

    def to(self, device):
        return self

    def encode_prompt(self, prompt):
        text = prompt.head + prompt.question + prompt.tail + prompt.answer
        self.prompts.append(text)
        return tuple(map(ord, text))

    def decode(self, ids):
        ends = [i + 1 - sum(t == 0 for t in ids[: i + 1]) for i in range(len(ids))]
        offsets = tuple((end - (t != 0), end) for end, t in zip(ends, ids, strict=True))
        return "".join(chr(t) for t in ids if t), offsets


class Scripted:
    """Draw number -> (program, log-prob of each token); with a prefix, what follows is taken from the script."""

    def __init__(self, **rounds):
        self.rounds, self.requests = rounds, []

    def sample(self, policy, requests, sampling, seed):
        requests = list(requests)
        self.requests.append((policy.name, requests))
        for at, request in enumerate(requests):
            for draw in ((-1,) if request.greedy else ()) + request.draws:
                given = "".join(map(chr, request.prefix_ids))
                text, logprobs = self.script(policy, request, draw, given)
                ids = (*map(ord, text[len(given) :]), 0)
                if not isinstance(logprobs, tuple):
                    logprobs = (logprobs,) * len(ids)
                yield Sample(at, draw, ids, logprobs[-len(ids) :], FinishReason.EOS)

    def script(self, policy, request, draw, given):
        return self.rounds[policy.name][request.problem_id][draw]


class OneExample(Benchmark):
    name = "one_example"

    def __init__(self, *names, examples=(EXAMPLE,)):
        self.shown = examples
        self.all = [Problem(n, f"Add one ({n}).", (EXAMPLE, HIDDEN), "f", references=(RIGHT,)) for n in names]

    def problems(self, split):
        return self.all

    def prompt(self, problem):
        return Prompt("", problem.statement, "\n")

    def extract(self, problem, text):
        return Extraction(0, len(text))

    def answer(self, problem, program):
        return program

    def examples(self, problem):
        return self.shown


class Watched:
    """An executor that remembers what it was asked."""

    def __init__(self):
        self.inner, self.jobs = LocalExecutor(workers=2), []

    def submit(self, job):
        self.jobs.append(job)
        return self.inner.submit(job)

    def close(self):
        self.inner.close()


def pipeline_of(benchmark, sampler, executor):
    rewards = RewardStack({"coarse": Coarse()})
    return RolloutPipeline(benchmark, Letters(), sampler, executor, rewards, Advantages(), PhaseClock())
