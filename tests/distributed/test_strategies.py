"""What a strategy cannot do is said before the run starts."""

import pytest
from omegaconf import open_dict

from rltf.setup.trainer import build_trainer


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["trainer.strategy.stage=3"], r"trainer\.strategy\.stage is 3: expected 1 or 2"),
        ([], r"trainer=deepspeed needs CUDA GPUs"),
    ],
)
def test_deepspeed_refuses_what_it_cannot_do(composed, tmp_path, overrides, message, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(ValueError, match=message):
        build_trainer(composed("train", "trainer=deepspeed", *overrides), tmp_path, [], [])


def test_deepspeed_writes_no_checkpoints(composed, tmp_path):
    from rltf.callbacks.checkpoints import Checkpoints

    cfg = composed("train", "trainer=deepspeed")
    with pytest.raises(ValueError, match=r"callbacks\.checkpoints is set with trainer=deepspeed"):
        build_trainer(cfg, tmp_path, [], [Checkpoints()])
    with open_dict(cfg):
        cfg.trainer.strategy = "auto"
        cfg.trainer.accelerator = "cpu"
        cfg.trainer.precision = "32-true"
    assert build_trainer(cfg, tmp_path, [], [Checkpoints()]).checkpoint_callbacks
