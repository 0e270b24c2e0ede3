"""Mistakes in `trainer` are one sentence, before anything is loaded."""

import pytest
import torch

from rltf.setup.trainer import check_trainer


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["trainer.accelerator=gpu"], r"^trainer.accelerator is 'gpu': expected auto or cpu"),
        (["trainer.accelerator=cuda"], r"^trainer.accelerator is 'cuda': expected auto or cpu"),
        (["trainer=ddp", "trainer.accelerator=gpu"], r"^trainer.accelerator is 'gpu'"),
        (["trainer.accelerator=mps"], r"^trainer \(accelerator=mps, devices=1.*not available"),
        (["trainer.accelerator=abacus"], r"^trainer \(accelerator=abacus"),
        (["trainer.devices=4"], r"^trainer.devices is 4: expected 1; trainer=ddp or trainer=fsdp"),
        (["trainer.devices=0"], r"^trainer \(accelerator=cpu, devices=0"),
        (["trainer.devices=[0,1]"], r"^trainer \(accelerator=cpu, devices=\[0, 1\]"),
        (["trainer.precision=8"], r"^trainer \(accelerator=cpu, devices=1, precision=8\)"),
        (["+trainer.max_epoch=2"], r"^trainer.*max_epoch"),
    ],
)
def test_a_mistake_is_one_sentence(composed, no_gpu, overrides, sentence):
    with pytest.raises(ValueError, match=sentence) as caught:
        check_trainer(composed("train", *overrides))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "overrides",
    [[], ["trainer.devices=auto"], ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2"], ["trainer=fsdp"]],
)
def test_what_this_machine_can_do_passes(composed, no_gpu, overrides):
    check_trainer(composed("train", *overrides))
