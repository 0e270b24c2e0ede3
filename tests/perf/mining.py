"""How good mined tests are, against the official tests of problems whose tests mining does not see.

    python tests/perf/mining.py PACKED.jsonl.gz [--limit 300] [--alternatives] [--mutants 12] [--misses OUT.jsonl]

Reads problems in the form of APPS (apps_function.jsonl.gz, leetcode_train.jsonl.gz), or MBPP (mbpp.jsonl, whose other
editions, mbpp_sanitized.json and mbpp_plus.jsonl.gz beside it, hold other solutions), mines the first official solution
of each without its tests, and prints JSON: yields by reason, seconds a function, and

- `killed_share`: of the mutants of mined functions that the official tests fail, the share that mined tests fail; all
  mutants, and `unseen`: those that mining did not choose its tests by; with 95 % intervals over functions;
- `rejected_share`: of the other solutions that pass the official tests, the share that fails a mined test.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from rltf.benchmarks.apps.benchmark import Apps
from rltf.benchmarks.files import read_rows
from rltf.benchmarks.mbpp import Mbpp
from rltf.benchmarks.references import normalize_line_ends
from rltf.benchmarks.structure import structure_hash
from rltf.execution import LocalExecutor
from rltf.mining.functions import Function, Limits, functions_of
from rltf.mining.job import IMPORTS, row_of
from rltf.mining.miner import MinedFunction, Miner, MiningLimits
from rltf.mining.mistakes import mistaken_copies
from rltf.types import Job, Outcome, Problem, Split


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path")
    parser.add_argument("--limit", type=int, default=300, help="problems, in a shuffled order")
    parser.add_argument("--alternatives", action="store_true", help="only problems with several solutions")
    parser.add_argument("--mutants", type=int, default=12)
    parser.add_argument("--tests", type=int, default=6)
    parser.add_argument("--inputs", type=int, default=40)
    parser.add_argument("--mined-by", type=int, default=24, help="mutants by which tests are chosen")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--misses", default="", help="file for mutants that only official tests kill, and rejections")
    arguments = parser.parse_args()
    problems = [p for p in problems_in(Path(arguments.path)) if len(p.references) > arguments.alternatives]
    random.Random(arguments.seed).shuffle(problems)
    by_place = {p.id: p for p in problems[: arguments.limit]}
    with LocalExecutor(timeout=2.0) as first, LocalExecutor(hash_seed=1, max_timeouts=1, timeout=2.0) as second:
        first.report(), second.report()
        left_out: Counter[str] = Counter()
        functions = list(readable(by_place, left_out))
        limits = MiningLimits(arguments.inputs, arguments.tests, arguments.mined_by, 0.5, 0.5)
        started, cpu = time.perf_counter(), sum(os.times()[:4])
        mined = []
        miner = Miner(first, second, limits, 0)
        for start in range(0, len(functions), 64):
            for result in miner.mine(functions[start : start + 64]):
                if isinstance(result, str):
                    left_out[result] += 1
                else:
                    mined.append(result)
        seconds, cpu = time.perf_counter() - started, sum(os.times()[:4]) - cpu
        pairs = [(by_place[result.function.source.rpartition(":")[0]], result) for result in mined]
        report = compare(second, pairs, arguments)
    report |= {"problems": len(by_place), "mined": len(mined), "left_out": dict(left_out.most_common())}
    report |= {"wall_seconds_a_function": round(seconds / max(1, len(functions)), 3)}
    print(json.dumps(report, indent=1))


def problems_in(path: Path) -> list[Problem]:
    """Problems that ask for a function, with solutions of different structures."""
    editions: dict[str, list[str]] = {}
    if path.name == "mbpp.jsonl":
        benchmark: Any = Mbpp(path=str(path), keep_constant=True)
        for row in read_rows(path.with_name("mbpp_sanitized.json")):
            editions.setdefault(f"mbpp/{row.value('task_id', int)}", []).append(row.value("code", str))
        for row in read_rows(path.with_name("mbpp_plus.jsonl.gz")):
            number = row.value("task_id", str).partition("/")[2]
            editions.setdefault(f"mbpp/{number}", []).append(row.value("canonical_solution", str))
    else:
        benchmark = Apps(path=str(path), validation_share=0.0, keep_constant=True)
    problems = []
    for problem in (p for split in get_args(Split) for p in benchmark._splits[split]):
        if problem.references and problem.entry_point:
            programs = [*problem.references, *map(normalize_line_ends, editions.get(problem.id, ()))]
            distinct = {structure_hash(program): program for program in reversed(programs)}
            problems.append(replace(problem, references=tuple(reversed(distinct.values()))))
    return problems


def readable(problems: dict[str, Problem], left_out: Counter[str]) -> Any:
    """The function that each problem asks for, where it can be mined."""
    for problem in problems.values():
        text = f"{problem.setup}\n{problem.references[0]}"
        found = list(functions_of(text, problem.id, Limits(IMPORTS, 40, 4, "wanted")))
        name = str(problem.entry_point).removeprefix("Solution().")
        entry = [f for f in found if isinstance(f, Function) and f.name == name]
        if entry:
            yield entry[-1]
        else:
            left_out[next((f for f in found if isinstance(f, str)), "has no function of its entry point")] += 1


def compare(executor: Any, pairs: list[tuple[Problem, MinedFunction]], arguments: argparse.Namespace) -> dict[str, Any]:
    """Agreement of mined tests with official ones."""
    jobs, keys = [], []
    for number, (problem, mined) in enumerate(pairs):
        code = mined.function.code
        seen = set(mistaken_copies(code, arguments.mined_by, 0))
        for program in mistaken_copies(code, arguments.mutants, 1):
            keys.append((number, "unseen" if program not in seen else "seen", program))
        for program in problem.references[1:]:
            keys.append((number, "alternative", program))
        keys.append((number, "own", code))
    for number, _, program in keys:
        problem, mined = pairs[number]
        jobs.append(Job(program, problem.tests, problem.setup))
        jobs.append(Job(program, mined.tests, problem.setup))
    verdicts = list(executor.map(jobs))
    failed = [verdict.outcome is not Outcome.PASSED for verdict in verdicts]
    usable = [verdict.outcome is not Outcome.UNJUDGEABLE for verdict in verdicts]
    rows = [(*key, failed[2 * i], failed[2 * i + 1]) for i, key in enumerate(keys) if usable[2 * i]]
    sound = {number for number, kind, _, official, _ in rows if kind == "own" and not official}
    report: dict[str, Any] = {"sound": len(sound)}
    for name, kinds in (("all", ("seen", "unseen")), ("unseen", ("unseen",))):
        shares: dict[int, list[bool]] = {}
        for number, kind, _, official, mined_fails in rows:
            if number in sound and kind in kinds and official:
                shares.setdefault(number, []).append(mined_fails)
        report[f"killed_share_{name}"] = share(list(shares.values()))
    alternatives: dict[int, list[bool]] = {}
    for number, kind, _, official, mined_fails in rows:
        if number in sound and kind == "alternative" and not official:
            alternatives.setdefault(number, []).append(mined_fails)
    report["rejected_share"] = share(list(alternatives.values()))
    survivors = [
        kind
        for n, kind, _, official, fails in rows
        if n in sound and kind in ("seen", "unseen") and not official and fails
    ]
    report["killed_that_official_tests_pass"] = len(survivors)
    report["own_tests_pass"] = sum(not fails for _, kind, _, _, fails in rows if kind == "own")
    if arguments.misses:
        with Path(arguments.misses).open("w") as file:
            for number, kind, program, official, fails in rows:
                wrong = fails and not official if kind == "alternative" else official and not fails
                if number in sound and kind != "own" and wrong:
                    record = {"id": pairs[number][0].id, "kind": kind, "program": program}
                    file.write(json.dumps(record | {"row": row_of(pairs[number][1])}) + "\n")
    return report


def share(groups: list[list[bool]]) -> dict[str, Any]:
    """Share of all entries, with a 95 % interval by resampling functions."""
    rng = random.Random(0)
    total = sum(map(len, groups))
    if not total:
        return {"of": 0}
    draws = []
    for _ in range(1000):
        drawn = rng.choices(groups, k=len(groups))
        draws.append(sum(map(sum, drawn)) / sum(map(len, drawn)))
    draws.sort()
    value = sum(map(sum, groups)) / total
    interval = [round(100 * draws[at], 1) for at in (24, 974)]
    return {"percent": round(100 * value, 1), "interval": interval, "of": total, "functions": len(groups)}


if __name__ == "__main__":
    main()
