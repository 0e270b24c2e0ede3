"""Judging on a Ray cluster: two nodes on this machine, one of which is lost in the middle."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rltf.execution import RayExecutor
from rltf.execution.cluster.dispatch import MAX_TRIES
from rltf.execution.sandbox.process_tree import descendants
from rltf.types import CallTest, Divergence, Job, Outcome, Verdict
from rltf.validation import OptionError

ray = pytest.importorskip("ray", reason="the extra `ray` is not installed")
pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head and one more node, as processes of this machine."""
    from ray.cluster_utils import Cluster

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    before = set(descendants(os.getpid()))
    memory = 80 << 20
    started = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 1, "include_dashboard": False, "object_store_memory": memory},
    )
    started.add_node(num_cpus=1, object_store_memory=memory)
    yield started
    ray.shutdown()
    started.shutdown()
    for pid in set(descendants(os.getpid())) - before:
        os.kill(pid, signal.SIGKILL)


def sleepy(number: int) -> Job:
    program = f"import time\ndef f(x):\n    time.sleep(0.02)\n    return x + {number}"
    return Job(program, (CallTest("f", (1,), 1 + number),))


def pools() -> list[int]:
    """Process ids of the actors."""
    found = []
    for pid in descendants(os.getpid()):
        try:
            if b"ray::NodeActor" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
        except OSError:
            continue
    return found


@pytest.mark.slow
def test_a_lost_actor_and_a_lost_node_lose_no_verdict_and_give_none_twice(cluster: Any) -> None:
    with RayExecutor(address=cluster.address, workers=2, node_workers=2) as executor:
        while len(pools()) < 2:
            time.sleep(0.1)
        came: list[str] = []

        def note(future: Future[Verdict]) -> None:
            came.append(future.result().outcome)

        futures = [executor.submit(sleepy(i)) for i in range(300)]
        for future in futures:
            future.add_done_callback(note)
        again = executor.submit(sleepy(299))
        while len(came) < 60:
            time.sleep(0.02)
        os.kill(pools()[0], signal.SIGKILL)
        while len(came) < 150:
            time.sleep(0.02)
        cluster.remove_node(next(n for n in cluster.worker_nodes))
        assert [f.result(120).outcome for f in futures] == [Outcome.PASSED] * 300
        assert again.result() is futures[-1].result()
        assert len(came) == 300
        assert executor.report()["limits"] == "active"
        assert futures[0].result().isolation["judging"] == "external"


def test_a_node_compares_a_wrong_answer_with_its_reference(cluster: Any) -> None:
    with RayExecutor(address=cluster.address, workers=1, node_workers=1) as executor:
        job = Job("def f(x):\n    y = x\n    return y\n", (CallTest("f", (1,), 2),))
        verdicts = [executor.submit(replace(job, reference=text)) for text in (job.program.replace("= x", "= 2"), None)]
        assert [v.result(120).divergence for v in verdicts] == [Divergence(1, 2, 2), None]


def test_closing_cancels_what_waits_and_ends_the_pools(cluster: Any) -> None:
    executor = RayExecutor(address=cluster.address, workers=2, node_workers=2, timeout=3600)
    futures = [executor.submit(Job(f"while True: pass\n# {i}", (CallTest("f", (), 1),))) for i in range(4)]
    while not (below := [p for actor in pools() for p in descendants(actor)]):
        time.sleep(0.05)
    executor.close()
    executor.close()
    assert all(f.cancelled() for f in futures)
    deadline = time.monotonic() + 120
    while any(Path(f"/proc/{p}").exists() for p in below):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    with pytest.raises(RuntimeError, match="closed"):
        executor.submit(sleepy(1))


class LostCluster:
    """Ray as it answers when the cluster's head is gone."""

    def __init__(self) -> None:
        self.lost = False

    def __getattr__(self, name: str) -> Any:
        return getattr(ray, name)

    def nodes(self) -> Any:
        if self.lost:
            raise ConnectionError("the head does not answer")
        return ray.nodes()


def test_a_thread_that_ends_tells_everybody_who_waits(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = LostCluster()
    monkeypatch.setattr("rltf.execution.cluster.executor.import_extra", lambda *names: answers)
    with RayExecutor(address=cluster.address, workers=2, node_workers=2, timeout=900) as executor:
        future = executor.submit(Job("while True: pass", (CallTest("f", (), 1),)))
        answers.lost = True
        sentence = r"ConnectionError in the thread that looks after its nodes \(the head does not answer\)"
        with pytest.raises(RuntimeError, match=sentence):
            future.result(60)
        with pytest.raises(RuntimeError, match=sentence):
            executor.submit(sleepy(2))


def test_a_program_that_no_node_can_judge_is_an_error_and_is_asked_for_anew_the_next_time(cluster: Any) -> None:
    with RayExecutor(address=cluster.address, workers=2, node_workers=2, timeout=900) as executor:
        future = executor.submit(Job("while True: pass", (CallTest("f", (), 1),)))
        dispatcher = executor._dispatcher
        (job,) = dispatcher._pending.jobs()
        for _ in range(MAX_TRIES):
            dispatcher.requeue([job.number], "the node died")
        with pytest.raises(RuntimeError, match="no node could judge this program: the node died"):
            future.result(60)
        assert dispatcher._pending.jobs() == []
        again = executor.submit(Job("while True: pass", (CallTest("f", (), 1),)))
        assert not again.done()


def test_a_layer_that_a_node_lacks_refuses_to_start(cluster: Any) -> None:
    with pytest.raises(
        ValueError, match=r"require is \['pids'\]: expected layers that are active here; 'pids' is degraded"
    ):
        RayExecutor(address=cluster.address, require=["pids"], without=["namespaces"])


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"node_workers": 0}, "node_workers is 0"),
        ({"timeout": -1}, "timeout is -1"),
        ({"start_seconds": 0}, "start_seconds is 0"),
        ({"require": ["moat"]}, "require is 'moat': expected some of"),
        ({"colour": 1}, "colour is 1: expected no such option, but errors, "),
        ({"errors": {"timeout": []}}, r"errors\.timeout is \[\]"),
    ],
)
def test_arguments_that_make_no_sense_are_named(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(OptionError, match=f"^{text}"):
        RayExecutor(**arguments)
