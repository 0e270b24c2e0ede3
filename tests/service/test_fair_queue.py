"""Clients have equal shares of the workers."""

from __future__ import annotations

import asyncio
from collections import Counter
from concurrent.futures import Future

import pytest

from rltf.service.fair_queue import FairQueue, NotJudged, QueueFull
from rltf.types import AssertTest, Job, Outcome, Verdict

PASSED = Verdict(Outcome.PASSED, 1, 1)


class ByHand:
    """An executor whose jobs end when the test says so."""

    def __init__(self) -> None:
        self.open: list[tuple[Job, Future[Verdict]]] = []

    def submit(self, job: Job) -> Future[Verdict]:
        if job.program == "unsendable":
            raise ValueError("tests hold what cannot be judged")
        future: Future[Verdict] = Future()
        self.open.append((job, future))
        return future

    def finish(self, place: int = 0) -> str:
        job, future = self.open.pop(place)
        future.set_result(PASSED)
        return job.program


def job(name: str) -> Job:
    return Job(name, (AssertTest("assert x == 1"),))


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_ten_clients_have_equal_shares_however_many_they_send() -> None:
    async def main() -> list[str]:
        executor, order = ByHand(), []
        queue = FairQueue(executor, 2, 10_000, 60)  # type: ignore[arg-type]
        greedy = [queue.submit("0", job("0")) for _ in range(1000)]
        modest = [queue.submit(str(client), job(str(client))) for client in range(1, 10) for _ in range(10)]
        for _ in range(104):
            order.append(executor.finish())
            await settle()
        for future in (*greedy, *modest):
            future.cancel()
        await settle()
        return order

    order = asyncio.run(main())
    # the first four are of the client that was alone; of the next hundred each of the ten has had ten
    assert order[:4] == ["0"] * 4
    shares = Counter(order[4:])
    assert set(shares) == {str(client) for client in range(10)}
    assert max(shares.values()) - min(shares.values()) <= 4


def test_clients_with_long_programs_have_no_more_workers_than_others() -> None:
    async def main() -> tuple[int, int]:
        executor = ByHand()
        queue = FairQueue(executor, 2, 1000, 60)  # type: ignore[arg-type]
        for _ in range(50):
            queue.submit("slow", job("slow")).add_done_callback(lambda f: f.cancelled())
            queue.submit("fast", job("fast")).add_done_callback(lambda f: f.cancelled())
        done = 0
        for _ in range(20):  # those of `fast` end at once, those of `slow` never
            place = next((i for i, (job, _) in enumerate(executor.open) if job.program == "fast"), None)
            if place is not None:
                executor.finish(place)
                done += 1
            await settle()
        running = Counter(job.program for job, _ in executor.open)
        queue.fail_all("over")
        await settle()
        return done, running["slow"]

    assert asyncio.run(main()) == (20, 2)


def test_a_client_may_have_so_many_waiting_and_no_more() -> None:
    async def main() -> None:
        executor = ByHand()
        queue = FairQueue(executor, 1, 1, 60)  # type: ignore[arg-type]
        futures = [queue.submit("a", job("a")) for _ in range(3)]  # the executor has two, one waits
        with pytest.raises(QueueFull) as full:
            queue.submit("a", job("a"))
        assert 1 <= full.value.retry_seconds <= 30
        other = queue.submit("b", job("b"))
        room = asyncio.create_task(queue.wait_for_room())
        await settle()
        assert not room.done()
        futures[2].cancel()
        await settle()
        assert room.done()
        futures.append(queue.submit("a", job("a")))
        for future in (futures[0], futures[1], futures[3], other):
            while not future.done():
                executor.finish()
                await settle()
            assert future.result() is PASSED
        assert (queue.waiting, queue.running) == (0, 0)

    asyncio.run(main())


def test_what_is_cancelled_is_withdrawn_and_what_cannot_be_sent_is_said() -> None:
    async def main() -> None:
        executor = ByHand()
        queue = FairQueue(executor, 1, 10, 0.2)  # type: ignore[arg-type]
        running, following, waiting = (queue.submit("a", job(str(i))) for i in range(3))
        bad = queue.submit("b", job("unsendable"))
        running.cancel()
        waiting.cancel()
        await settle()
        assert executor.open[0][1].cancelled()
        assert [job.program for job, _ in executor.open] == ["0", "1"]
        with pytest.raises(ValueError, match="cannot be judged"):
            await bad
        with pytest.raises(NotJudged, match=r"not judged within 0\.2 s"):
            await following
        await settle()
        assert (queue.waiting, queue.running) == (0, 0)
        lost = queue.submit("a", job("3"))
        executor.open[-1][1].set_exception(RuntimeError("the executor ended"))
        with pytest.raises(NotJudged, match="the executor ended"):
            await lost

    asyncio.run(main())
