"""A run folder made of numbers: the format that training writes, without training."""

from __future__ import annotations

import csv
import json
import math
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from rltf.rewards.adaptive import Adaptive
from rltf.rewards.base import RewardStack
from rltf.rewards.coarse import Coarse
from rltf.rewards.fine import Fine
from rltf.runs.rollouts_file import rollout_record
from rltf.types import (
    CallTest,
    Category,
    ErrorReport,
    FinishReason,
    Outcome,
    Problem,
    Program,
    Rollout,
    TestResult,
    Verdict,
)

WriteRun = Callable[..., Path]

TESTS = (CallTest("total", ([1, 2],), 3), CallTest("total", ([],), 0))
"""Of that problem, as far as they are told."""

PROGRAMS: list[tuple[str, Verdict]] = [
    ("def total(xs):\n    return sum(xs)\n", Verdict(Outcome.PASSED, 4, 4)),
    (
        "def total(xs):\n    out = 0\n    for x in xs:\n        out += x\n    return out\n",
        Verdict(Outcome.PASSED, 4, 4),
    ),
    (
        "def total(xs):\n    return xs[0]\n",
        Verdict(
            Outcome.WRONG_ANSWER,
            1,
            4,
            tests=(TestResult(Outcome.PASSED, 0.0), TestResult(Outcome.WRONG_ANSWER, 0.0)),
        ),
    ),
    (
        "def total(xs):\n    for x in xs:\n        s += x\n    return s\n",
        Verdict(
            Outcome.RUNTIME_ERROR,
            0,
            4,
            ErrorReport(
                "UnboundLocalError",
                "cannot access local variable 's' where it is not associated with a value",
                3,
                3,
                Category.LINE,
            ),
        ),
    ),
    (
        "def total(xs)\n\n    return sum(xs)\n",
        Verdict(Outcome.SYNTAX_ERROR, 0, 4, ErrorReport("SyntaxError", "expected ':'", 1, 1, Category.LINE)),
    ),
    (
        "def größe(xs):\n    while True:\n        pass  # läuft ewig\n",
        Verdict(Outcome.TIMEOUT, 0, 4, ErrorReport("Timeout", "2 s", None, None, Category.GLOBAL)),
    ),
    (
        "def total(xs):\n    x = '''</script><b>&amp;\n",
        Verdict(
            Outcome.SYNTAX_ERROR,
            0,
            4,
            ErrorReport("SyntaxError", "unterminated triple-quoted string literal", 2, 2, Category.IGNORE),
        ),
    ),
]
"""Programs of a made-up problem, from right to wrong."""


def random_rollout(rng: random.Random, skill: float, version: int, draw: int) -> Rollout:
    """A program that is right with probability `skill`."""
    text, verdict = rng.choice(PROGRAMS[:2] if rng.random() < skill else PROGRAMS[2:])
    text = text.replace("xs", rng.choice(["xs", "values", "numbers", "v"]))
    offsets, at = [], 0
    while at < len(text):
        step = rng.choice([1, 2, 3, 4])
        offsets.append((at, min(at + step, len(text))))
        at += step
    finish = rng.choice([FinishReason.EOS, FinishReason.EOS, FinishReason.LENGTH])
    if finish is FinishReason.EOS:
        offsets.append((len(text), len(text)))
    tokens = (0,) * len(offsets)
    program = Program(
        f"mini/{rng.randrange(40)}", text, (1,), tokens, tuple(offsets), (-1.0,) * len(tokens), finish, version, draw
    )
    stack = RewardStack({"coarse": Coarse(), "fine": Fine(), "adaptive": Adaptive()})
    credits = stack(Problem(program.problem_id, "", ()), program, verdict)
    reward = sum(credit.value for credit in credits if credit.span is None)
    return Rollout(program, verdict, credits, reward, -0.6, reward + 0.6)


def metrics_rows(rng: random.Random, warmup: int, iterations: int, updates: int) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = [
        {"phase": "warmup", "iteration": 0, "step": step, "loss/total": 4 * math.exp(-step / 60) + rng.random() / 8}
        for step in range(1, warmup + 1)
    ]
    for iteration in range(iterations):
        step, skill = warmup + iteration * updates, 0.2 + 0.6 * iteration / iterations
        at = {"phase": "rl", "iteration": iteration}
        wrong = (1 - skill) / 5
        rows.append(
            {
                **at,
                "step": step,
                "rollout/reward_mean": 2 * skill - 0.9 + rng.gauss(0, 0.05),
                "rollout/greedy_reward_mean": 2 * skill - 0.6 + rng.gauss(0, 0.1),
                "rollout/reward/coarse": skill - 0.5,
                "rollout/reward/fine": -0.2 * (1 - skill),
                "rollout/reward/adaptive": skill - 0.4,
                "rollout/outcome/passed": skill,
                "rollout/outcome/wrong_answer": wrong * 1.5,
                "rollout/outcome/runtime_error": wrong * 1.5,
                "rollout/outcome/timeout": wrong / 2,
                "rollout/outcome/memory_limit": 0.0,
                "rollout/outcome/syntax_error": wrong * 1.5,
                "rollout/groups/none_pass": (1 - skill) ** 2,
                "rollout/groups/all_pass": skill**2,
                "rollout/groups/some_pass": 2 * skill * (1 - skill),
                "completion/length_mean": 42 + rng.gauss(0, 2),
                "completion/truncated_share": 0.03 + rng.random() / 50,
            }
        )
        for update in range(updates):
            rows.append(
                {
                    **at,
                    "step": step + update + 1,
                    "loss/total": 0.6 + rng.gauss(0, 0.1),
                    "loss/supervised": 0.4 + rng.gauss(0, 0.05),
                    "loss/rl": 0.2 + rng.gauss(0, 0.1),
                    "policy/entropy": 0.9 - 0.5 * iteration / iterations + rng.gauss(0, 0.02),
                    "policy/kl": 0.02 * iteration,
                }
            )
        if iteration % 2:
            value = {
                "val/pass@1": skill - 0.02,
                "val/pass@4": min(1.0, skill + 0.18),
                "val/greedy_pass@1": skill + 0.05,
            }
            rows.append({**at, "step": step + updates, **value})
        seconds = {"generation": 1.4, "execution_wait": 0.2, "training": 2.2, "evaluation": 0.9 * (iteration % 2)}
        row = {f"perf/seconds/{phase}": value * rng.uniform(0.9, 1.1) for phase, value in seconds.items()}
        rows.append({**at, "step": step + updates, **row})
    return rows


@pytest.fixture
def make_rollout() -> Callable[..., Rollout]:
    """A random program with its verdict and credits."""
    return random_rollout


@pytest.fixture
def write_run(tmp_path: Path) -> WriteRun:
    """Writes a run folder and returns it."""

    def write(
        folder: Path | None = None,
        warmup: int = 20,
        iterations: int = 6,
        updates: int = 5,
        programs: int = 12,
        seed: int = 7,
        reward: str = "coarse+fine+adaptive",
        after: Sequence[int] = (3, 1, 4, 0),
        problems: str = "mini/0/test",
    ) -> Path:
        """`after`: programs of 4 that pass after RL, of each held-out problem; before it 1 of each does."""
        folder, rng = folder or tmp_path / "run", random.Random(seed)
        (folder / ".hydra").mkdir(parents=True)
        (folder / ".hydra" / "overrides.yaml").write_text(f"- reward={reward}\n- seed={seed}\n")
        terms = "".join(f"    {term}: {{_target_: rltf.{term}}}\n" for term in reward.split("+"))
        (folder / ".hydra" / "config.yaml").write_text(f"seed: {seed}\nreward:\n  terms:\n{terms}lr: 0.1\n")
        choices = f"      reward: {reward}\n      model: tiny_t5\n      algorithm: rltf\n      hydra/env: default\n"
        (folder / ".hydra" / "hydra.yaml").write_text(f"hydra:\n  runtime:\n    choices:\n{choices}")
        rows = metrics_rows(rng, warmup, iterations, updates)
        columns = list(dict.fromkeys(name for row in rows for name in row))
        with (folder / "metrics.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(rows)
        with (folder / "rollouts.jsonl").open("w") as file:
            for iteration in range(iterations):
                skill, version = 0.2 + 0.6 * iteration / iterations, warmup + iteration * updates
                for draw in range(programs):
                    record = rollout_record(random_rollout(rng, skill, version, draw), iteration, TESTS)
                    file.write(json.dumps(record, ensure_ascii=False) + "\n")
        record = {"before": heldout([1] * len(after), problems), "after": heldout(after, problems)}
        (folder / "evaluation.json").write_text(json.dumps(record))
        told = summary(iterations, updates, programs) | {"seed": seed, "reward": reward}
        (folder / "summary.json").write_text(json.dumps(told))
        return folder

    return write


def heldout(passed: Sequence[int], problems: str = "mini/0/test") -> list[dict[str, Any]]:
    """One problem for each number of programs, of 4, that pass it; the others end in a NameError or a wrong answer."""
    found = []
    for i, count in enumerate(passed):
        failed = ["runtime_error", "wrong_answer", "wrong_answer", "wrong_answer"][: 4 - count]
        record = {
            "problem_id": f"{problems}/{i}",
            "difficulty": "easy" if i < 2 else "hard",
            "tags": ["loop"] * (i != 3),
        }
        found.append(
            record
            | {
                "draws": failed + ["passed"] * count,
                "greedy_passed": count > 1,
                "errors": {"NameError": 1} if failed else {},
            }
        )
    return found


def summary(iterations: int, updates: int, programs: int) -> dict[str, Any]:
    before = {"1": (0.214, 0.183, 0.247), "2": (0.402, 0.36, 0.449), "4": (0.471, 0.425, 0.518)}
    after = {"1": (0.561, 0.52, 0.604), "2": (0.68, 0.64, 0.721), "4": (0.712, 0.668, 0.755)}
    return {
        "status": "finished",
        "benchmark": "mini",
        "model": "tiny_t5",
        "reward": "coarse+fine+adaptive",
        "algorithm": "rltf",
        "seed": 7,
        "pass_at_k": {
            when: {k: value for k, (value, _, _) in table.items()}
            for when, table in (("before", before), ("after", after))
        },
        "pass_at_k_interval": {
            when: {k: {"value": value, "low": low, "high": high} for k, (value, low, high) in table.items()}
            for when, table in (("before", before), ("after", after))
        },
        "evaluation": {
            when: {
                "by_difficulty": {"easy": {"1": 0.3 + gain}, "hard": {"1": 0.1 + gain / 2}},
                "by_tag": {tag: {"1": 0.2 + gain, "5": 0.6} for tag in ("arithmetic", "loop", "string")},
            }
            for when, gain in (("before", 0.0), ("after", 0.3))
        },
        "problems": 200,
        "iterations": iterations,
        "optimizer_steps": iterations * updates,
        "programs_sampled": iterations * programs,
        "programs_judged": iterations * programs,
        "seconds": {
            "total": 183.0,
            "warmup": 40.0,
            "generation": 52.0,
            "execution_wait": 8.0,
            "training": 60.0,
            "evaluation": 20.0,
        },
        "versions": {"rltf": "0.2.0", "torch": "2.13.0"},
    }
