"""Scripts end as they end under plain `python`: with the same output, and failing where they fail there."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rltf.execution import LocalExecutor
from rltf.types import CallTest, Job, Outcome, ProgramOutput, StdioTest, decode_verdict, encode_verdict

FOLDER = Path(__file__).parent
SCRIPTS = dict(block.split("\n", 1) for block in (FOLDER / "scripts.txt").read_text(encoding="utf-8").split("=== ")[1:])
"""Name -> text; what each prints is known from plain `python`."""
STDIN = "3\n4\n"


def plain(script: str, folder: Path) -> tuple[int, str]:
    """Exit status and output of a script under plain `python`."""
    (folder / "script.py").write_text(script)
    command = [sys.executable, "-I", "-X", "utf8", str(folder / "script.py")]
    end = subprocess.run(
        command,
        input=STDIN.encode(),
        capture_output=True,
        timeout=60,
        check=False,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # which a shell's `&` has ignored
    )
    return end.returncode, end.stdout.decode()


@pytest.fixture(scope="module", params=[(), ("namespaces",)], ids=["full", "no namespaces"])
def mode(request: pytest.FixtureRequest):
    with LocalExecutor(workers=2, timeout=10.0, without=request.param) as executor:
        yield executor


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_ends_as_under_plain_python(mode: LocalExecutor, name: str, tmp_path: Path) -> None:
    status, output = plain(SCRIPTS[name], tmp_path)
    verdict = mode.submit(Job(SCRIPTS[name], (StdioTest(STDIN, output),))).result()
    assert verdict.outcome is (Outcome.RUNTIME_ERROR if status else Outcome.PASSED), (status, output, verdict.error)


def test_what_a_script_printed_is_told_when_asked_for(pool: LocalExecutor) -> None:
    program = "import sys\nprint(input())\nprint('log', file=sys.stderr)\nsys.exit(int(input()))"
    tests = (StdioTest("a\n0\n", "a\n"), StdioTest("b\n3\n", "b\n"), CallTest("f", (), 1))
    results = pool.submit(Job(program, tests[:2], output=True)).result().tests
    assert [r.output for r in results] == [ProgramOutput("a\n", "log\n", 0), ProgramOutput("b\n", "log\n", 3)]
    assert [r.output for r in pool.submit(Job(program, tests[:2])).result().tests] == [None, None]
    killed = "import os, signal\nprint(1, flush=True)\nos.kill(os.getpid(), signal.SIGKILL)"
    assert pool.submit(Job(killed, tests[:1], output=True)).result().tests[0].output == ProgramOutput("1\n", "", -9)
    long = "import sys\nsys.stderr.write('e' * (3 << 20))\nprint(chr(255))\nsys.stdout.buffer.write(b'\\xff')"
    [result] = pool.submit(Job(long, tests[:1], output=True)).result().tests
    assert result.output is not None
    assert (len(result.output.stderr), result.output.stdout) == (1 << 20, "�ÿ\n")
    assert (
        decode_verdict(encode_verdict(verdict := pool.submit(Job(program, tests[:2], output=True)).result())) == verdict
    )
