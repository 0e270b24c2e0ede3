"""Texts that tokenizer or template cannot hold end a run before its warm-up and its evaluation."""

from dataclasses import replace

import pytest
from lightning.pytorch import Trainer

from rltf.benchmarks.mini.benchmark import Mini
from rltf.commands.train import train
from rltf.policies.pretrained import TransformersPolicy

SMALL = ("debug=default", "benchmark.sizes={train: 20, validation: 4, test: 6}", "report=false")


@pytest.fixture(autouse=True)
def no_work(monkeypatch):
    """A run that trains or evaluates fails."""

    def works(*args, **options):
        raise AssertionError("the run has begun to work")

    for method in ("fit", "test"):
        monkeypatch.setattr(Trainer, method, works)


@pytest.mark.parametrize("options", [[], ["warmup.steps=0"], ["warmup.steps=0", "algorithm=grpo", "reward=coarse"]])
def test_a_tokenizer_that_drops_line_ends(composed, monkeypatch, options):
    honest = TransformersPolicy.decode
    monkeypatch.setattr(
        TransformersPolicy, "decode", lambda self, ids: (honest(self, ids)[0].replace("\n", " "), honest(self, ids)[1])
    )
    with pytest.raises(ValueError, match=r"^model\.path holds a \w+ that loses text, \d+ of 20 demonstrations"):
        train(composed("train", *SMALL, *options))


def test_demonstrations_that_are_all_too_long(composed):
    with pytest.raises(ValueError, match="has none that fits"):
        train(composed("train", *SMALL, "warmup.steps=0", "generation.sampling.max_new_tokens=1"))


def test_a_chat_prompt_without_a_template(composed, monkeypatch):
    honest = Mini.prompt
    monkeypatch.setattr(Mini, "prompt", lambda self, problem: replace(honest(self, problem), chat=True))
    with pytest.raises(ValueError, match=r"^benchmark\.prompt is chat, but the tokenizer .* has no chat template"):
        train(composed("train", *SMALL, "warmup.steps=0"))
