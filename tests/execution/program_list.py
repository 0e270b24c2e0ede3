"""Reads the lists of programs under `programs/`: what each is judged by, and what must come of it.

A program is introduced by `=== name`, then `key: value` lines, then `---`, then its text. Keys: `call` (several by
`;`), `assert`, `check`, `stdin` (`'input' -> 'output'`) give its tests; `expect`, `passed`, `line`, `end_line`, `type`,
`category` what is expected (default: every test passes); `setup`, `timeout`, `memory_mb` go into the job (programs that
are to run out of time get one second, others ten, as the machine may be busy); `numpy`, `namespaces`, `reserve` (a
memory cgroup) say what must be there; `escape`, `bom`, `crlf`, `repeat` how the text is changed.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path

from rltf.types import AssertTest, CallTest, CheckTest, Job, StdioTest, Test

SECRET = 739201547
"""The default test is `f(3) == SECRET`: nothing that a program could guess."""


@dataclass(frozen=True)
class Listed:
    """One program of a list."""

    name: str
    job: Job
    keys: dict[str, str]

    @property
    def expect(self) -> str:
        return self.keys.get("expect", "passed")


def read(folder: Path) -> list[Listed]:
    """Every program of every list, in order."""
    found = []
    for path in sorted(folder.glob("*.txt")):
        for block in path.read_text(encoding="utf-8").split("=== ")[1:]:
            name, _, rest = block.partition("\n")
            header, _, text = rest.partition("---\n")
            keys = dict(line.split(": ", 1) for line in header.splitlines())
            found.append(Listed(f"{path.stem}-{name}", _job(keys, text), keys))
    return found


def _job(keys: dict[str, str], text: str) -> Job:
    if "escape" in keys:
        text = text.strip().encode().decode("unicode_escape")
    if "crlf" in keys:
        text = text.replace("\n", "\r\n")
    if "bom" in keys:
        text = "\ufeff" + text
    text *= int(keys.get("repeat", 1))
    tests: list[Test] = []
    for key, value in keys.items():
        if key == "call":
            tests += [_call(one.strip()) for one in value.split(";")]
        elif key == "assert":
            tests.append(AssertTest(f"assert {value}"))
        elif key == "check":
            tests.append(CheckTest(value.replace("\\n", "\n") + "\n", "f"))
        elif key == "stdin":
            given, _, wanted = value.partition(" -> ")
            expected = "x" * 300000 if wanted == "repeat" else ast.literal_eval(wanted)
            tests.append(StdioTest(ast.literal_eval(given), expected))
    timeout = float(keys.get("timeout", 1 if keys.get("expect") == "timeout" else 10))
    memory = int(keys["memory_mb"]) if "memory_mb" in keys else None
    chosen = tuple(tests) or (CallTest("f", (3,), SECRET),)
    return Job(text, chosen, keys.get("setup", ""), timeout, memory)


def _call(text: str) -> CallTest:
    tree = ast.parse(text, mode="eval").body
    assert isinstance(tree, ast.Compare)
    call = tree.left
    assert isinstance(call, ast.Call)
    assert isinstance(call.func, ast.Name)
    return CallTest(call.func.id, tuple(ast.literal_eval(a) for a in call.args), ast.literal_eval(tree.comparators[0]))
