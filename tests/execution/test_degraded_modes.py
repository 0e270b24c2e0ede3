"""Hosts without namespaces, as root and as a plain user: what Landlock leaves open is refused, and nothing stays.

Each program tries something and answers with the number of the error, or `open`. A plain user's programs are judged by
a process of that user, with an interpreter that it can read.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rltf.execution.isolation import scratch

USER = 65534
SOURCE = Path(__file__).resolve().parents[2]
TRY = """
import ctypes, os, platform, resource, socket
X86 = platform.machine() == "x86_64"
libc = ctypes.CDLL(None, use_errno=True)
def checked(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), "")
def f(x):
    try:
        {}
    except OSError as e:
        return e.errno
    return "open"
"""
JUDGE = """
import json, sys
sys.path.insert(0, sys.argv[1])
from rltf.execution import LocalExecutor
from rltf.types import AssertTest, Job
given = json.load(sys.stdin)
rows = []
with LocalExecutor(workers=1, without=given["without"]) as executor:
    for program, expected in given["programs"]:
        verdict = executor.submit(Job(program, (AssertTest(f"assert f(1) == {expected!r}, f(1)"),))).result()
        rows.append([verdict.outcome, str(verdict.error)])
print(json.dumps(rows))
"""


@pytest.fixture(scope="module", params=["root", "plain user"])
def interpreter(request: pytest.FixtureRequest) -> list[Any]:
    """An interpreter, and the arguments of `subprocess.run` that make it run as one user or the other."""
    if request.param == "root":
        return [sys.executable, {}]
    if os.getuid() != 0:
        return [sys.executable, {}]
    user = {"user": USER, "group": USER, "extra_groups": []}
    for path in (sys.executable, shutil.which("python3", path="/usr/bin:/usr/local/bin")):
        try:
            subprocess.run([path, "-c", "import rltf.execution"], cwd=SOURCE, check=True, capture_output=True, **user)
        except (OSError, TypeError, subprocess.CalledProcessError):
            continue
        return [path, user]
    pytest.skip("there is no interpreter that a plain user can run")


def judge(interpreter: list[Any], programs: list[tuple[str, Any]], without: list[str]) -> list[list[str]]:
    """Outcome and error of programs, one after another in one sandbox."""
    path, user = interpreter
    given = json.dumps({"programs": programs, "without": without})
    command = [path, "-B", "-c", JUDGE, str(SOURCE)]
    answer = subprocess.run(command, input=given, text=True, check=True, stdout=subprocess.PIPE, cwd="/", **user)
    return json.loads(answer.stdout)


@pytest.fixture
def folder(interpreter: list[Any], tmp_path: Path) -> Path:
    """A folder of the user with a file in it, and open to it all the way down."""
    (tmp_path / "file").write_text("kept")
    (tmp_path / "file").chmod(0o600)
    owner = interpreter[1].get("user", os.getuid())
    for path in (tmp_path, tmp_path / "file"):
        os.chown(path, owner, -1)
    for parent in tmp_path.parents[:3]:
        if parent != Path("/tmp"):
            parent.chmod(parent.stat().st_mode | 0o111)
    return tmp_path


@pytest.fixture
def neighbour(interpreter: list[Any]) -> Iterator[int]:
    """Another process of the user."""
    process = subprocess.Popen(["sleep", "60"], **interpreter[1])
    yield process.pid
    process.kill()
    process.wait()


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.setblocking(False)
        yield listener


def test_what_landlock_leaves_open_is_refused(
    interpreter: list[Any], folder: Path, neighbour: int, listener: socket.socket
) -> None:
    file, ours = str(folder / "file"), str(folder / "socket")
    listener.bind(ours)
    os.chmod(ours, 0o777)
    listener.listen()
    before, limits = os.stat(file), Path(f"/proc/{neighbour}/limits").read_text()
    refused = [
        f"socket.socket(socket.AF_UNIX).connect({ours!r})",
        "socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)",
        "socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)",
        "socket.socketpair(socket.AF_UNIX, socket.SOCK_RAW)",
        f"socket.socketpair()[0].sendto(b'x', {ours!r})",
        f"socket.socketpair()[0].connect({ours!r})",
        "socket.socketpair()[0].bind('name')",
        f"os.chmod({file!r}, 0o777)",
        f"os.chmod({str(folder)!r}, 0o777)",
        f"os.chown({file!r}, {USER}, {USER})",
        f"os.utime({file!r}, (0, 0))",
        f"resource.prlimit({neighbour}, resource.RLIMIT_NOFILE, (7, 7))",
        f"os.sched_setaffinity({neighbour}, {{0}})",
        f"os.kill({neighbour}, 9)",
        "checked(libc.shmat(0, None, 0))",
        "checked(libc.shmctl(0, 0, None))",
        "checked(libc.semctl(0, 0, 0))",
        "checked(libc.msgctl(0, 0, None))",
        f"checked(libc.inotify_add_watch(libc.inotify_init(), {str(folder).encode()!r}, 0xfff))",
        "os.chmod('.', 0o500)",
        "os.mkdir('closed', 0o077)",
    ]
    no_attributes = [f"os.setxattr({file!r}, 'user.a', b'x')", f"os.getxattr({file!r}, 'user.a')", "os.listxattr('.')"]
    programs = [(TRY.format(text), errno.EPERM) for text in refused]
    programs += [(TRY.format(text), errno.EOPNOTSUPP) for text in no_attributes]
    programs += [(TRY.format("os.umask(0o777)"), 0)]  # which the C library does not expect to fail
    rows = judge(interpreter, programs, ["namespaces"])
    with pytest.raises(BlockingIOError):
        listener.accept()
    texts = [*refused, *no_attributes, "os.umask"]
    assert {text: row for text, row in zip(texts, rows, strict=True) if row[0] != "passed"} == {}
    after = os.stat(file)
    assert (after.st_mode, after.st_uid, after.st_mtime) == (before.st_mode, before.st_uid, before.st_mtime)
    assert Path(f"/proc/{neighbour}/limits").read_text() == limits


HONEST = {
    "asyncio": "import asyncio\ndef f(x): return asyncio.run(asyncio.sleep(0, 5))",
    "a pair of sockets": """
import socket
def f(x):
    a, b = socket.socketpair()
    a.send(b'abcde')
    return len(b.recv(9))
""",
    "a pool of processes": """
import multiprocessing
def f(x):
    with multiprocessing.Pool(2) as pool:
        return sum(pool.map(abs, [-2, 3]))
""",
    "a queue of processes": """
import multiprocessing
def f(x):
    queue = multiprocessing.Queue()
    process = multiprocessing.Process(target=queue.put, args=(5,))
    process.start()
    try:
        return queue.get()
    finally:
        process.join()
""",
    "a temporary folder": """
import os, tempfile
def f(x):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "a")
        open(path, "w").write("12345")
        return os.path.getsize(path)
""",
    "a copied file": """
import shutil
def f(x):
    open("a", "w").write("12345")
    shutil.copyfile("a", "b")
    return len(open("b").read())
""",
}


def test_honest_programs_miss_nothing(interpreter: list[Any]) -> None:
    rows = judge(interpreter, [(program, 5) for program in HONEST.values()], ["namespaces"])
    assert {name: row for name, row in zip(HONEST, rows, strict=True) if row[0] != "passed"} == {}


LEAVE = """
import ctypes, os
def attempt(call, *args):
    try:
        call(*args)
    except OSError:
        pass
def f(x):
    for folder in (os.getcwd(), "/tmp", "/dev/shm"):
        for name in ("a", "b/c/d", ".rltf-1/full/.rltf-1"):
            attempt(os.makedirs, os.path.join(folder, name))
        attempt(os.utime, folder, (5, 5))
        attempt(os.utime, folder)
        attempt(os.setxattr, folder, "user.message", b"x")
        attempt(os.chmod, os.path.join(folder, "b/c"), 0)
        attempt(os.chmod, folder, 0)
        attempt(os.chmod, folder, 0o500)
    return 1
"""
FIND = """
import os, time
def f(x):
    found = []
    for folder in {folder}:
        about = os.stat(folder)
        found += [folder] if about.st_mode & 0o700 != 0o700 else []
        found += ["time"] if not -1 < time.time() - about.st_mtime < 30 else []
        try:
            found += os.listxattr(folder)
        except OSError:
            pass
        found += os.listdir(folder)
        open(os.path.join(folder, "new"), "w").close()
    return found
"""


@pytest.mark.parametrize("without", [[], ["namespaces"]], ids=["all layers", "no namespaces"])
def test_a_program_finds_the_scratch_folder_as_the_first_one_did(interpreter: list[Any], without: list[str]) -> None:
    folders = "('/tmp', '/dev/shm')" if not without else "('.',)"
    find = (FIND.replace("{folder}", folders), [])
    rows = judge(interpreter, [find, (LEAVE, 1), find, (LEAVE + "#", 1), (find[0] + "#", [])], without)
    assert [row[0] for row in rows] == ["passed"] * 5, rows


def test_a_scratch_folder_in_use_is_not_swept_and_one_of_a_killed_worker_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scratch.tempfile, "tempdir", str(tmp_path))
    used, lock = scratch.make()
    lost, lost_lock = scratch.make()
    os.makedirs(f"{lost}/x/" + "y/" * 300)
    os.close(lost_lock)  # as the kernel does when a process ends
    scratch.sweep()
    assert [str(path) for path in tmp_path.iterdir()] == [used]
    scratch.remove(used, lock)
    assert not list(tmp_path.iterdir())
