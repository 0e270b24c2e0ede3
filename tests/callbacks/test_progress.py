"""What the console says of a run's progress."""

from types import SimpleNamespace

import pytest

from rltf.callbacks.progress import _position


@pytest.mark.parametrize(("total", "expected"), [(2400, 1200), (None, 2000)])
def test_a_warm_up_counts_the_steps_that_it_will_take(total, expected):
    """1,200 steps of two batches, a checkpoint every 1,000: Lightning sees two epochs of 1,000."""
    trainer = SimpleNamespace(
        datamodule=SimpleNamespace(plan=SimpleNamespace(total=total)),
        global_step=7,
        accumulate_grad_batches=2,
        estimated_stepping_batches=2000,
    )
    assert _position(trainer) == (7, expected)
