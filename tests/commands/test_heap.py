"""The garbage collector rests while a command imports, and leaves out what was loaded."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from rltf.commands.heap import frozen_heap, resting_collector


@pytest.fixture(autouse=True)
def collector() -> Iterator[None]:
    """As it was, whatever a test does with it."""
    enabled = gc.isenabled()
    yield
    gc.unfreeze()
    (gc.enable if enabled else gc.disable)()


@pytest.mark.parametrize("enabled", [True, False])
def test_nothing_is_collected_inside_and_what_was_made_there_is_left_out(enabled: bool):
    (gc.enable if enabled else gc.disable)()
    with resting_collector():
        assert not gc.isenabled()
        made = [[] for _ in range(100)]
    assert gc.isenabled() is enabled
    assert gc.get_freeze_count() >= len(made)


def test_an_error_of_an_import_leaves_the_collector_as_it_was():
    gc.enable()
    with pytest.raises(ImportError), resting_collector():
        raise ImportError
    assert gc.isenabled()


def test_a_job_of_a_sweep_leaves_nothing_frozen():
    class Node:
        """Refers to itself, so that only the collector frees it."""

        def __init__(self) -> None:
            self.me = self

    def job() -> None:
        with frozen_heap():
            assert gc.get_freeze_count() > 0
            raise ValueError("the job failed")

    made = Node()
    with pytest.raises(ValueError, match="the job"):
        job()
    assert gc.get_freeze_count() == 0
    del made
    assert gc.collect() >= 1
