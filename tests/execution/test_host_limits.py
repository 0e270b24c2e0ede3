"""Under low limits of the host programs are judged all the same, or it is said which limit is too low."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from rltf.execution.sandbox import host_limits
from rltf.validation import OptionError

JUDGE = """
import resource, sys
sys.path.insert(0, sys.argv[1])
which, value = int(sys.argv[2]), int(sys.argv[3])
resource.setrlimit(which, (value, value))
from rltf.execution import LocalExecutor
from rltf.types import CallTest, CheckTest, Job, StdioTest
with LocalExecutor(workers=1) as executor:
    script = Job("print(int(input()) + 1)", (StdioTest("3\\n", "4\\n"),))
    tests = CallTest("f", (1,), 2), CheckTest("def check(c):\\n    assert c(1) == 2\\n", "f")
    function = Job("def f(x): return x + 1", tests)
    print(*(executor.submit(job).result().outcome for job in (script, function)))
"""
LOW = {
    "stack": (resource.RLIMIT_STACK, 8 << 20),
    "stack of 32 MB": (resource.RLIMIT_STACK, 32 << 20),
    "open files": (resource.RLIMIT_NOFILE, 48),
    "size of files": (resource.RLIMIT_FSIZE, 1000 << 10),
    "processor time": (resource.RLIMIT_CPU, 30),
    "address space": (resource.RLIMIT_AS, 1_500_000 << 10),
    "data": (resource.RLIMIT_DATA, 1_500_000 << 10),
}


@pytest.mark.parametrize("name", LOW)
def test_right_programs_pass_under_a_low_limit_of(name: str) -> None:
    which, value = LOW[name]
    command = [sys.executable, "-c", JUDGE, str(Path(__file__).resolve().parents[2]), str(which), str(value)]
    answer = subprocess.run(command, text=True, capture_output=True, timeout=120)
    assert answer.stdout.split() == ["passed", "passed"], answer.stderr


@pytest.mark.parametrize(
    ("which", "hard", "limits", "message"),
    [
        (resource.RLIMIT_AS, 1 << 30, (4, 1024, 1), "memory_mb is 1024: expected at most 704, .* (ulimit -v)"),
        (resource.RLIMIT_DATA, 1 << 30, (4, 1024, 1), "memory_mb is 1024: expected at most 704, .* (ulimit -d)"),
        (resource.RLIMIT_CPU, 30, (60, 512, 1), "timeout is 60: expected at most 29, .* (ulimit -t)"),
        (resource.RLIMIT_NOFILE, 48, (4, 512, 64), "workers is 64: expected at most 32, .* (ulimit -n)"),
    ],
)
def test_a_limit_of_the_host_that_is_too_low_is_named(monkeypatch, which, hard, limits, message) -> None:
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    monkeypatch.setattr(resource, "getrlimit", lambda asked: (hard, hard) if asked == which else unlimited)
    with pytest.raises(OptionError, match=message.replace("(", r"\(").replace(")", r"\)")):
        host_limits.require_host_limits(*limits)
    host_limits.require_host_limits(4, 512, 2)


def test_without_limits_of_the_host_everything_is_allowed(monkeypatch) -> None:
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    monkeypatch.setattr(resource, "getrlimit", lambda asked: unlimited)
    host_limits.require_host_limits(86400, 1 << 20, 4096)
