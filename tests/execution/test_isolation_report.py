"""The report tells what really holds: a layer that is left out shows, whichever it is."""

from __future__ import annotations

import pytest

from rltf.execution import LocalExecutor
from rltf.execution.isolation import LAYERS, probe
from rltf.types import CallTest, Job


def report(*without: str) -> dict[str, str]:
    with LocalExecutor(workers=1, without=without) as executor:
        return executor.report()


def test_a_layer_left_out_is_reported_and_the_others_stay() -> None:
    full = report()
    assert set(full) == set(LAYERS)
    for layer in ("seccomp", "landlock"):
        assert report(layer) == full | {layer: "absent: left out by configuration"}


def test_without_namespaces_no_layer_that_needs_them_is_active() -> None:
    found = report("namespaces")
    for layer in ("user", "files", "pids", "network"):
        assert found[layer].startswith(("degraded", "absent")), layer
    assert found["limits"] == "active"


def test_with_neither_namespaces_nor_landlock_files_are_open_and_said_to_be() -> None:
    found = report("namespaces", "landlock")
    assert found["files"].startswith("absent")
    assert found["landlock"].startswith("absent")


def test_every_verdict_carries_the_report(pool: LocalExecutor) -> None:
    verdict = pool.submit(Job("def f(): return 5", (CallTest("f", (), 5),))).result()
    assert verdict.isolation == pool.report() | {"judging": "external"}


@pytest.mark.parametrize("layer", ["limits", "files", "landlock", "pids"])
def test_a_layer_that_does_nothing_is_found_out(layer: str) -> None:
    """Probed in this very process, where no layer is at work."""
    claimed = dict.fromkeys(LAYERS, "active") | {"seccomp": "absent"}
    found = probe.probe(claimed, lambda: None, None, "/")
    assert found[layer].startswith("absent: ")
