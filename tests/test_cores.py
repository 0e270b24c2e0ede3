"""Who may use which cores."""

import os

import pytest

from rltf.execution import LocalExecutor
from rltf.execution.cores import CorePinning, CorePlan
from rltf.rollouts.clock import PhaseClock
from rltf.types import CallTest, Job


@pytest.mark.parametrize(
    ("cores", "workers", "plan"), [(1, None, (1, 2)), (2, None, (1, 2)), (16, None, (8, 16)), (16, 4, (12, 4))]
)
def test_torch_and_the_sandbox_share_the_cores(cores, workers, plan):
    found = CorePlan.of(cores, workers)
    assert (found.threads, found.workers) == plan


@pytest.fixture
def three_cores(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3, 5, 9})


def test_the_sandbox_is_kept_off_torchs_cores_while_torch_computes(three_cores, tmp_path):
    moves, clock = [], PhaseClock()
    clock.on_phase = CorePinning(moves.append, threads=2, lock=tmp_path / "lock")
    with clock("warmup"):
        pass
    with clock("training"):
        with clock("generation"):
            pass
        with clock("execution_wait"):
            pass
        with clock("evaluation", exclusive=True), clock("generation"):
            pass
    assert moves == [[9], [3, 5, 9]] + [[9], [3, 5, 9]] * 3  # once a change, and never inside an evaluation


def test_only_one_run_of_a_machine_confines_its_sandbox(three_cores, tmp_path):
    moves = {name: [] for name in "abc"}
    first = CorePinning(moves["a"].append, threads=1, lock=tmp_path / "lock")
    second = CorePinning(moves["b"].append, threads=1, lock=tmp_path / "lock")
    for confinement in (first, second):
        confinement("training")
    first.close()
    third = CorePinning(moves["c"].append, threads=1, lock=tmp_path / "lock")
    third("training")
    third.close()
    assert moves == {"a": [[5, 9]], "b": [], "c": [[5, 9]]}


def test_torch_that_has_all_cores_leaves_none_to_confine_to(three_cores, tmp_path):
    moves = []
    CorePinning(moves.append, threads=3, lock=tmp_path / "lock")("training")
    assert moves == []


def test_programs_run_on_the_cores_that_the_pool_was_moved_to():
    cores = sorted(os.sched_getaffinity(0))
    text = "import os\ndef f(_):\n    return sorted(os.sched_getaffinity(0))"
    with LocalExecutor(workers=2) as executor:

        def seen(number, expected):
            job = Job(text + f"\n# {number}", (CallTest("f", (number,), expected),))
            return executor.submit(job).result()

        assert seen(0, cores).tests[0].status.name == "PASSED"
        executor.use_cores(cores[-1:])
        assert [seen(n, cores[-1:]).tests[0].status.name for n in range(1, 7)] == ["PASSED"] * 6
        os.kill(executor._process.pid, 9)  # its successor goes where it was
        assert seen(7, cores[-1:]).tests[0].status.name == "PASSED"
        executor.use_cores(cores)
        assert [seen(n, cores).tests[0].status.name for n in range(8, 14)] == ["PASSED"] * 6
