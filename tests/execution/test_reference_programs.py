"""Reference programs of real problem sets pass, wrong ones fail (data from RLTF_SHARED_DATA)."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from rltf.execution import LocalExecutor
from rltf.types import AssertTest, CheckTest, Job, Outcome, StdioTest

APPS_NEEDS_PACKAGES = {"apps-fn/test/0993", "apps-fn/test/2481", "apps-fn/train/4107"}
"""They import scipy, networkx and dateutil, which programs cannot see."""


def rows(path: Path) -> list[dict]:
    opened = gzip.open(path, "rt") if path.suffix == ".gz" else open(path, encoding="utf-8")  # noqa: SIM115
    with opened as file:
        return [json.loads(line) for line in file]


def test_every_humaneval_solution_passes_and_every_wrong_one_fails(pool: LocalExecutor, shared_data: Path) -> None:
    problems = rows(shared_data / "humaneval.jsonl.gz")
    right = [Job(p["prompt"] + p["canonical_solution"], (CheckTest(p["test"], p["entry_point"]),)) for p in problems]
    wrong = [Job(p["prompt"] + "    return 'wrong'\n", (CheckTest(p["test"], p["entry_point"]),)) for p in problems]
    assert [p["task_id"] for p, v in zip(problems, pool.map(right), strict=True) if v.outcome != Outcome.PASSED] == []
    assert [p["task_id"] for p, v in zip(problems, pool.map(wrong), strict=True) if v.outcome == Outcome.PASSED] == []


def mbpp(problems: list[dict]) -> list[Job]:
    return [Job(p["code"], tuple(map(AssertTest, p["test_list"])), p["test_setup_code"], timeout=10) for p in problems]


def test_mbpp_references_pass(pool: LocalExecutor, shared_data: Path) -> None:
    problems = rows(shared_data / "mbpp.jsonl")[:100]
    failed = {p["task_id"] for p, v in zip(problems, pool.map(mbpp(problems)), strict=True) if v.outcome != "passed"}
    assert failed == set()


@pytest.mark.slow
def test_all_mbpp_references_pass(pool: LocalExecutor, shared_data: Path) -> None:
    problems = rows(shared_data / "mbpp.jsonl")
    failed = {p["task_id"] for p, v in zip(problems, pool.map(mbpp(problems)), strict=True) if v.outcome != "passed"}
    assert failed == set()


def leetcode(shared_data: Path) -> list[dict]:
    found = rows(shared_data / "leetcode" / "leetcode_train.jsonl.gz")
    return [p for p in found if "sortedcontainers" not in p["solutions"][0]]  # a package that programs cannot see


def test_leetcode_references_on_lists_and_trees_pass(pool: LocalExecutor, shared_data: Path) -> None:
    problems = [p for p in leetcode(shared_data) if "\nclass " in p["prelude"]]
    assert len(problems) > 100
    jobs = [Job(p["solutions"][0], (CheckTest(p["test"], p["entry_point"]),), p["prelude"]) for p in problems]
    assert [p["id"] for p, v in zip(problems, pool.map(jobs), strict=True) if v.outcome != Outcome.PASSED] == []


@pytest.mark.slow
def test_all_leetcode_references_pass(pool: LocalExecutor, shared_data: Path) -> None:
    problems = leetcode(shared_data)
    jobs = [Job(p["solutions"][0], (CheckTest(p["test"], p["entry_point"]),), p["prelude"], 10) for p in problems]
    assert [p["id"] for p, v in zip(problems, pool.map(jobs), strict=True) if v.outcome != Outcome.PASSED] == []


@pytest.mark.slow
def test_all_apps_references_pass(pool: LocalExecutor, shared_data: Path) -> None:
    functions = rows(shared_data / "apps" / "apps_function.jsonl.gz")
    jobs = [Job(p["solutions"][0], tuple(map(AssertTest, p["tests"])), timeout=10) for p in functions]
    scripts = [
        p for p in rows(shared_data / "apps" / "apps_original.jsonl.gz") if p["solutions"] and p["form"] == "stdin"
    ]
    for p in scripts:
        given = p["input_output"]
        tests = tuple(map(StdioTest, given["inputs"], given["outputs"]))
        jobs.append(Job(p["solutions"][0], tests, timeout=10))
    verdicts = zip(functions + scripts, pool.map(jobs), strict=True)
    assert {p["id"] for p, v in verdicts if v.outcome != Outcome.PASSED} == APPS_NEEDS_PACKAGES
