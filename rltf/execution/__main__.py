"""The judge alone: JSON lines of programs and tests on stdin, verdicts on stdout, in the order of the input.

echo '{"id": 1, "program": "def f(x): return x + 1", "tests":
    [{"kind": "call", "function": "f", "args": [1], "expected": 2}]}' | python -m rltf.execution
"""

from __future__ import annotations

import argparse
import sys
from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from typing import Any

from rltf.execution.json_tests import InvalidInput
from rltf.execution.jsonl import dumps, parse, render
from rltf.execution.local import LocalExecutor
from rltf.types import Verdict
from rltf.validation import OptionError

_FORMAT = """
input, one JSON object a line, without other keys:
  {"id", "program", "setup"?, "tests": [...], "timeout"?: seconds, "memory_mb"?, "coverage"?: true, "output"?: true,
   "reference"?: a program that passes, "language"?: "python", "javascript" or "cpp", "answers"?: true}
  a test is one of
  {"kind": "assert", "code": "assert f(1) == 2"}
  {"kind": "stdio", "stdin": "1 2\\n", "stdout": "3\\n", "tolerance"?: 1e-9, "checker"?: "..."}
  {"kind": "call", "function": "f", "args": [1], "expected": 2, "tolerance"?: 1e-9}
  {"kind": "check", "code": "def check(candidate): ...", "entry_point": "f"}
  {"kind": "pytest", "code": "from solution import f\\ndef test_f(): ...", "module"?: "solution"}
    stands for one test a test function of the module, in their order
  {"kind": "text", "expected": "42", "tolerance"?: 1e-9}: the program is an answer, which is not run
  tolerance: how far numbers may be off, absolutely below 1, relatively above
  checker: trusted code with `def check(stdin, expected, printed)`, which returns True or False

output, one JSON object a line, in the order of the input:
  {"id", "outcome", "passed", "total", "error", "tests", "seconds", "isolation"}
  a test of "tests" is {"status", "seconds", "error"}
  and, with "coverage", "unexecuted": the lines (from 1) that no test executed; absent when it does not compile;
  and "executed" of each test: the lines that it executed
  with "output", each stdio test has "output": {"stdout", "stderr", "exit_status"}
  with "answers", "answers": what each call returned, as text of `rltf.execution.values.codec`; null: nothing to send
  and, with "reference", "divergence" of a program with a wrong answer: {"test", "line", "end_line"}, the first test
  with one (from 1) and the lines of the statement at which the program parts from the reference; null: none can be told
  outcome: passed, wrong_answer, runtime_error, syntax_error, timeout, memory_limit, output_limit, violation;
  unjudgeable (the error says why) where a test breaks by itself or asks what cannot be asked from outside the sandbox;
  invalid_input (with "message") for a line that is no job: unknown keys, at most 100,000 tests, a setup that does
  not compile, a test that checks nothing (no assert, or only functions that nobody calls), a check without `check`.
"""

_MAX_OPEN_LINES = 1000
"""Lines that are read ahead of the first one without a verdict."""


def main(argv: Sequence[str] | None = None, prog: str = "python -m rltf.execution") -> int:
    """Judges the jobs on stdin; returns 0, 1 when the sandbox fails, or 2 for arguments that make no sense."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Judges untrusted Python programs against unit tests, in a sandbox.",
        epilog=_FORMAT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--workers", type=int, help="programs judged at the same time (default: twice the cores)")
    parser.add_argument("--timeout", type=float, default=4.0, help="seconds a test (default: 4)")
    parser.add_argument("--memory-mb", type=int, default=512, help="memory of a program in MB (default: 512)")
    parser.add_argument("--require", action="append", default=[], help="isolation layer without which not to start")
    arguments = parser.parse_args(argv)
    try:
        executor = LocalExecutor(
            workers=arguments.workers,
            timeout=arguments.timeout,
            memory_mb=arguments.memory_mb,
            require=arguments.require,
        )
    except OptionError as e:
        print(f"--{e.key.replace('_', '-')} is {e.value!r}: expected {e.expected}", file=sys.stderr)
        return 2
    with executor:
        try:
            return _serve(executor, sys.stdin.buffer)
        except RuntimeError as e:  # the executor has failed
            print(e, file=sys.stderr)
            return 1


def _serve(executor: LocalExecutor, lines: Iterable[bytes]) -> int:
    answers: deque[tuple[Any, Future[Verdict] | str]] = deque()
    """Id of a line, and its verdict or what is wrong with it; in the order of the input."""
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            key, job = parse(line)
            answers.append((key, executor.submit(job)))
        except InvalidInput as e:
            answers.append((e.id, f"line {number}: {e}"))
        except ValueError as e:  # a test that cannot be sent, such as a list in 200 lists
            answers.append((key, f"line {number}: {e}"))
        while answers and (len(answers) > _MAX_OPEN_LINES or _is_done(answers[0][1])):
            _print(*answers.popleft())
    while answers:
        _print(*answers.popleft())
    return 0


def _is_done(answer: Future[Verdict] | str) -> bool:
    return isinstance(answer, str) or answer.done()


def _print(key: Any, answer: Future[Verdict] | str) -> None:
    if isinstance(answer, str):
        row: dict[str, Any] = {"id": key, "outcome": "invalid_input", "message": answer}
    else:
        row = render(key, answer.result())
    sys.stdout.write(dumps(row))
    sys.stdout.flush()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (BrokenPipeError, KeyboardInterrupt):
        sys.exit(130)
