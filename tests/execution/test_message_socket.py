"""The worker's ends of its sockets and of the page that it shares with a grader."""

from __future__ import annotations

import array
import json
import marshal
import os
import socket
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rltf.execution.grader import page as results
from rltf.execution.grader.page import LOADING, Page
from rltf.execution.sandbox.message_socket import MessageSocket

LIMIT = 1000


@pytest.fixture
def ends() -> Iterator[tuple[MessageSocket, socket.socket]]:
    ours, theirs = socket.socketpair()
    theirs.settimeout(10)
    channel = MessageSocket(ours, LIMIT)
    yield channel, theirs
    theirs.close()
    channel.hang_up()


def framed(body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + body


def test_a_message_leaves_in_marshal_with_its_descriptors(ends: tuple[MessageSocket, socket.socket]) -> None:
    channel, theirs = ends
    read, write = os.pipe()
    channel.send({"a": [1, b"x"]}, [write])
    body, ancillary, _, _ = theirs.recvmsg(1000, 100)
    assert marshal.loads(body[4:]) == {"a": [1, b"x"]}
    received = array.array("i", ancillary[0][2])
    os.write(received[0], b"through")
    assert os.read(read, 100) == b"through"
    for fd in (read, write, *received):
        os.close(fd)


def test_a_message_larger_than_the_kernel_takes_leaves_bit_by_bit(ends: tuple[MessageSocket, socket.socket]) -> None:
    channel, theirs = ends
    channel.send("x" * 5_000_000)
    assert channel.unsent
    start = time.monotonic()
    channel.flush(0.3)  # nobody reads
    assert 0.25 < time.monotonic() - start < 10
    received = bytearray()
    while len(received) < 4 or len(received) < 4 + int.from_bytes(received[:4], "big"):
        received += theirs.recv(1 << 20)
        channel.push()
    assert marshal.loads(received[4:]) == "x" * 5_000_000
    assert not channel.unsent


def test_what_is_no_message_is_told_and_never_raises(ends: tuple[MessageSocket, socket.socket]) -> None:
    channel, theirs = ends
    for body in (b'{"a": 1}', b"[1]", b"{", b"\xff", b"[" * 500, b"1" * 900, b"NaN", b'{"a": NaN}'):
        theirs.sendall(framed(body))
    channel.pull()
    read = [channel.message() for _ in range(8)]
    malformed = {"unsendable": "a malformed message"}
    assert read[:7] == [{"a": 1}, *[malformed] * 6]
    assert read[7] is not None
    assert channel.message() is None
    theirs.sendall((LIMIT + 1).to_bytes(4, "big") + b"x")
    channel.pull()
    assert channel.message() == {"unsendable": "the message is too large"}
    assert not channel.open


@given(st.binary(max_size=300))
def test_any_bytes_give_messages_or_nothing(data: bytes) -> None:
    ours, theirs = socket.socketpair()
    channel = MessageSocket(ours, LIMIT)
    with theirs:
        theirs.sendall(data)
        theirs.shutdown(socket.SHUT_WR)
        while channel.open and channel.pull():
            while (message := channel.message()) is not None:
                assert isinstance(message, dict)
                json.dumps(message)
    channel.hang_up()


def test_a_side_that_is_gone_is_seen_and_raises_nothing(ends: tuple[MessageSocket, socket.socket]) -> None:
    channel, theirs = ends
    theirs.close()
    channel.send({"a": "x" * 1_000_000})
    channel.flush(1)
    assert not channel.unsent
    assert not channel.pull()
    assert not channel.open


def test_the_page_tells_the_worker_what_the_grader_wrote() -> None:
    page = Page.make()
    grader = Page(os.dup(page.fd))
    page.clear(3)
    assert (page.test, page.requests, page.line) == (LOADING, 0, 0)
    grader.begin_test(1)
    grader.begin_request()
    time.sleep(0.02)
    assert (page.test, page.requests) == (1, 1)
    waiting = page.program_seconds()
    assert 0.02 <= waiting <= page.all_program_seconds() < 10
    grader.end_request()
    still = page.program_seconds()
    time.sleep(0.02)
    assert page.program_seconds() == still  # the program has not the word
    grader.end_test(results.WRONG_ANSWER)
    grader.begin_test(2)
    assert page.program_seconds() == 0.0
    assert page.all_program_seconds() == still
    grader.place(17)
    assert page.line == 17
    decided = page.results(3)
    assert [result for result, _ in decided] == [results.UNDECIDED, results.WRONG_ANSWER, results.UNDECIDED]
    assert 0.04 <= decided[1][1] < 10
    page.clear(3)
    assert [result for result, _ in page.results(3)] == [results.UNDECIDED] * 3
    os.close(page.fd)
    os.close(grader.fd)
