"""Values that a second process computes, and problems of `mini` that are made that way."""

from __future__ import annotations

import os
import signal

import pytest

from rltf.benchmarks.forked_value import ForkedValue
from rltf.benchmarks.mini.benchmark import Mini

# threads that other tests left in this process hold nothing that the fork needs
pytestmark = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")


def test_another_process_computes_and_is_gone_afterwards():
    value = ForkedValue(os.getpid)
    pid = value.result()
    assert pid != os.getpid()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_what_fails_there_is_computed_here():
    here = os.getpid()

    def only_here() -> int:
        if os.getpid() != here:
            raise MemoryError
        return 7

    assert ForkedValue(only_here).result() == 7


def test_a_process_that_was_killed_costs_time_alone():
    here = os.getpid()
    assert ForkedValue(lambda: "here" if os.getpid() == here else os._exit(9)).result() == "here"


def test_it_ends_when_the_process_that_asked_is_killed():
    """A value larger than a pipe holds, which nobody reads."""
    ours, theirs = os.pipe()
    asking = os.fork()
    if asking == 0:
        value = ForkedValue(lambda: bytes(1 << 20))
        os.write(theirs, str(value._process.pid).encode())
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(asking, 0)
    os.close(theirs)
    assert os.read(ours, 16)  # its number
    assert os.read(ours, 1) == b""  # the end: the last process that holds the pipe is gone
    os.close(ours)


def test_an_error_is_raised_where_the_value_is_asked_for():
    value = ForkedValue(lambda: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        value.result()


def test_problems_made_ahead_are_those_made_here():
    options = {"sizes": {"train": 12, "test": 3}, "difficulties": {"easy": 1, "medium": 1}}
    ahead, here = Mini(**options), Mini(**options)
    ahead.prepare("train")
    assert ahead.problems("train") == here.problems("train")
    assert ahead.problems("train") is ahead.problems("train")  # once
    assert ahead.problems("test") == here.problems("test")  # not prepared
