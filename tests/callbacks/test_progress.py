"""Progress of a run on the console."""

from types import SimpleNamespace

import pytest

from rltf.callbacks.progress import Progress


@pytest.mark.parametrize(("total_updates", "expected"), [(1200, 1200), (None, 2000)])
def test_a_warm_up_counts_the_steps_that_it_will_take(monkeypatch, total_updates, expected):
    """1,200 steps, a checkpoint every 1,000: Lightning sees two epochs of 1,000."""
    monkeypatch.setattr(Progress, "data", SimpleNamespace(plan=SimpleNamespace(total_updates=total_updates)))
    trainer = SimpleNamespace(global_step=7, estimated_stepping_batches=2000)
    assert Progress()._position(trainer) == (7, expected)
