"""Limits, factors and defaults that docs/execution.md names are those of the code."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from rltf.execution import LocalExecutor, local
from rltf.execution.inside import trace
from rltf.execution.isolation import LAYERS, root
from rltf.execution.judge import divergence
from rltf.execution.judge.compare import TOLERANCE
from rltf.execution.pool import supervisor, worker
from rltf.execution.sandbox import limits
from rltf.execution.values import codec

TEXT = " ".join((Path(__file__).resolve().parents[2] / "docs" / "execution.md").read_text(encoding="utf-8").split())
DEFAULTS = {name: parameter.default for name, parameter in inspect.signature(LocalExecutor).parameters.items()}


@pytest.mark.parametrize(
    "sentence",
    [
        f"{limits.WALL_CLOCK_FACTOR:g} times the limit by the wall clock",
        f"is {limits.GRADING_SECONDS:g} s for all tests of a program together",
        f"{limits.GRADING_SECONDS_PER_BYTE * 1e6:g} s more for each megabyte of test text",
        f"the grader's memory is {limits.GRADER_MEMORY >> 20:,} MB",
        f"twice what is expected and {limits.OUTPUT_SLACK >> 10} KiB",
        f"{limits.UNREAD_OUTPUT_FACTOR} times `output_kb`",
        f"One that gives none for {limits.SILENT_WORKER_SECONDS:g} s is ended",
        f"the program tried again, {supervisor._TRIES} times in all",
        f"at most {local._RESTARTS} times in a row without a verdict",
        f"`timeout` {limits.LARGEST['timeout']:,} s, `memory_mb` {limits.LARGEST['memory_mb']:,}",
        f"nested deeper than {codec.MAX_DEPTH} levels, more than {codec.MAX_NODES:,} elements",
        f"a tolerance of {TOLERANCE:.0e} only".replace("e-06", "e-6"),
        f"After `max_timeouts` timeouts ({DEFAULTS['max_timeouts']})",
        f"{DEFAULTS['scratch_mb']} MB of scratch ({root.INODES:,} inodes)",
        f"A trace has at most {trace.EVENTS:,} of them and looks at {trace.WORK:,} parts of values, for "
        f"{divergence.TRACED_SECONDS:g} s",
        f"so {DEFAULTS['tasks']} tasks may have {DEFAULTS['tasks']} times as much",
    ],
)
def test_the_document_has_the_number_of_the_code(sentence: str) -> None:
    assert sentence in TEXT


def test_a_worker_gives_a_sign_of_life_once_a_second_as_documented() -> None:
    assert worker._ALIVE_SECONDS == 1
    assert "A worker gives a sign of life once a second while a program runs." in TEXT


@pytest.mark.parametrize("layer", LAYERS)
def test_every_layer_has_its_row(layer: str) -> None:
    assert f"| `{layer}` |" in TEXT
