"""Every listed program gets the verdict it deserves, with all layers and on a host without namespaces."""

from __future__ import annotations

import glob
import importlib.util
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from program_list import Listed, read

from rltf.execution import LocalExecutor
from rltf.types import Verdict

PROGRAMS = read(Path(__file__).parent / "programs")
MODES = {"full": (), "no namespaces": ("namespaces",)}


@pytest.fixture(scope="module", params=MODES)
def verdicts(request: pytest.FixtureRequest) -> Iterator[dict[str, Verdict]]:
    os.environ["RLTF_TEST_SECRET"] = "do not tell"
    with LocalExecutor(workers=4, without=MODES[request.param]) as executor:
        report = executor.report()
        kept = [p for p in PROGRAMS if _possible(p, report)]
        found = dict(zip((p.name for p in kept), executor.map(p.job for p in kept), strict=True))
        assert executor.report() == report
    del os.environ["RLTF_TEST_SECRET"]
    return found


def _possible(program: Listed, report: dict[str, str]) -> bool:
    if "numpy" in program.keys and importlib.util.find_spec("numpy") is None:
        return False
    if "reserve" in program.keys and report["memory"] != "active":
        return False
    return "namespaces" not in program.keys or report["files"] == "active"


def test_the_list_is_long_and_a_third_of_it_passes() -> None:
    names = [p.name for p in PROGRAMS]
    assert len(set(names)) == len(names) >= 150
    assert 3 * sum(p.expect == "passed" for p in PROGRAMS) >= len(PROGRAMS)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.name)
def test_program_gets_the_verdict_it_deserves(program: Listed, verdicts: dict[str, Verdict]) -> None:
    if program.name not in verdicts:
        pytest.skip("this host or mode lacks what the program needs")
    verdict = verdicts[program.name]
    error = verdict.error
    found = {
        "expect": verdict.outcome.value,
        "passed": str(verdict.passed),
        "line": str(error and error.line),
        "end_line": str(error and error.end_line),
        "type": error and error.type,
        "category": error and error.category.value,
    }
    wanted = {key: program.keys[key] for key in found if key in program.keys} | {"expect": program.expect}
    assert {key: found[key] for key in wanted} == wanted, error
    assert (verdict.passed == verdict.total) == (program.expect == "passed")


def test_nothing_is_left_behind(verdicts: dict[str, Verdict]) -> None:
    assert verdicts
    places = ("/", "/tmp", "/var/tmp", "/dev/shm", "/root", "/home", "/etc", "/usr/lib", os.getcwd())
    assert [f for place in places for f in glob.glob(f"{place}/rltf_escape*")] == []
    with socket.socket() as probe, pytest.raises(OSError):
        probe.connect(("127.0.0.1", 48123))
