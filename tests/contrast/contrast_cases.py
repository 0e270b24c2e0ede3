"""A small policy, problems of mini, and programs with lines for the contrast."""

from __future__ import annotations

import json
from functools import cache

from rltf.benchmarks.mini import Mini
from rltf.contrast.options import ContrastOptions
from rltf.contrast.programs import ProgramReader
from rltf.policies.tiny import tiny_causal, tiny_t5
from rltf.types import Outcome

POLICIES = {
    "T5": lambda: tiny_t5(d_model=32, d_ff=64, layers=1, heads=2),
    "causal": lambda: tiny_causal(d_model=32, d_ff=64, layers=1, heads=2),
}


@cache
def mini(problems: int = 60) -> Mini:
    return Mini(sizes={"train": problems, "validation": 1, "test": 1}, seed=1)


def reader(policy=None, **options) -> ProgramReader:
    return ProgramReader(policy or POLICIES["T5"](), mini(), ContrastOptions(**options))


def references() -> list[tuple[str, str]]:
    """(problem id, program) of the references of mini's training problems."""
    return [(problem.id, text) for problem in mini().problems("train") for text in problem.references]


def encoded_references(read: ProgramReader, count: int = 1000):
    programs = (read.read(*pair) for pair in references())
    return [program for program in programs if program is not None][:count]


def write_run(folder):
    """A run's folder whose programs are the references."""
    rows = [{"problem_id": i, "program": text, "outcome": str(Outcome.PASSED)} for i, text in references()]
    (folder / "rollouts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(folder)
