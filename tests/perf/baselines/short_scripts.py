"""The performance scripts that take at most two minutes, and the ratios that each of them measures."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Figure:
    """One ratio of a script, in each of its rounds."""

    name: str
    better: str
    """`higher` or `lower`."""
    values: tuple[float, ...]


@dataclass(frozen=True)
class ShortScript:
    """A script of tests/perf and what is read from the JSON that it prints."""

    name: str
    options: tuple[str, ...]
    figures: Callable[[list[Any]], Iterator[Figure]]
    """Of the JSON values that the script prints."""

    @property
    def command(self) -> str:
        """As it is typed."""
        return " ".join(["python", f"tests/perf/{self.name}.py", *self.options])

    def run(self) -> list[Figure]:
        """The figures of one run, on one thread. Raises CalledProcessError where the script fails."""
        done = subprocess.run(
            [sys.executable, f"tests/perf/{self.name}.py", *self.options],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "PYTHONPATH": str(ROOT)},
        )
        return list(self.figures(list(json_values(done.stdout))))


def json_values(text: str) -> Iterator[Any]:
    """The JSON values that follow each other in a text.

    >>> list(json_values('{"a": 1}\\n{"a": 2}\\n'))
    [{'a': 1}, {'a': 2}]
    """
    decoder, at = json.JSONDecoder(), 0
    while (text := text[at:].lstrip()) != "":
        value, at = decoder.raw_decode(text)
        yield value


def startup(values: list[Any]) -> Iterator[Figure]:
    """CPU seconds over those of a bare Python."""
    yield Figure("import rltf", "lower", tuple(values[0]["import_rltf_over_bare_python"]))
    yield Figure("train.py --cfg job", "lower", tuple(values[0]["cfg_job_over_bare_python"]))


def execution(values: list[Any]) -> Iterator[Figure]:
    """A bare fork over the judge: 1 would be free."""
    yield Figure("null program", "higher", tuple(values[0]["null_program"]["ratios"]))


def training(values: list[Any]) -> Iterator[Figure]:
    """Shared prompts over repeated ones, buckets of like length over one rectangle."""
    for cell in values[0]["cells"]:
        yield Figure(f"{cell['cell']}: shared prompts", "higher", tuple(cell["speeds"]))
        yield Figure(f"{cell['cell']}: saved bytes", "lower", (cell["saved_bytes"],))
        yield Figure(f"{cell['cell']}: buckets of like length", "higher", tuple(cell["long_tailed"]["speeds"]))


def generation(values: list[Any]) -> Iterator[Figure]:
    """The engine's speed over that of `generate`."""
    for row in values:
        yield Figure(f"{row['cell']}, {row['lengths']} lengths", "higher", tuple(row["ratios"]))
        yield Figure(f"{row['cell']}, {row['lengths']} lengths: row-steps", "lower", (row["row_steps_over_needed"],))


def logprobs(values: list[Any]) -> Iterator[Figure]:
    """Blocked log-probs over full logits."""
    for case in values[0]["cases"]:
        yield Figure(f"{case['case']}: speed", "higher", tuple(case["speeds_over_full"]))
        yield Figure(f"{case['case']}: saved bytes", "lower", (case["saved_bytes_of_full"],))


def lightning_overhead(values: list[Any]) -> Iterator[Figure]:
    """A step through Lightning over one of a raw loop."""
    yield Figure("small step", "lower", tuple(values[0]["step_small"]["ratios"]))


SHORT_SCRIPTS = (
    ShortScript("startup", ("--no-run",), startup),
    ShortScript("execution", ("--parts", "null_program"), execution),
    ShortScript("generation", ("--only", "64/64"), generation),
    ShortScript("lightning_overhead", ("--quick",), lightning_overhead),
    ShortScript("training", ("--quick", "--only", "T5"), training),
    ShortScript("logprobs", ("--quick",), logprobs),
)
