"""What an item of `infinitum` costs to make, beside a problem of `mini`, and how much of it recurs under another seed.

    python tests/perf/infinitum.py [--items 200] [--seeds 3]

Prints JSON: CPU milliseconds an item (the middling and the mean, over all seeds), the mean by number of statements, and
the largest share of items of the test split that two seeds have in common: the same statements; the same programs,
names apart; the same structures, names and constants apart.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Iterator
from itertools import combinations, islice
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from rltf.benchmarks.infinitum import Infinitum
from rltf.benchmarks.infinitum.program import canonical
from rltf.benchmarks.mini import Mini
from rltf.types import Problem


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    report = {}
    for name, kind in (("mini", Mini), ("infinitum", Infinitum)):
        timed = [
            list(islice(timed_problems(kind(seed=seed).stream("test")), arguments.items))
            for seed in range(arguments.seeds)
        ]
        seconds = [second for of_seed in timed for _, second in of_seed]
        sets = [[problem for problem, _ in of_seed] for of_seed in timed]
        sizes: dict[str, list[float]] = {}
        for of_seed in timed:
            for problem, second in of_seed:
                size = next((tag for tag in problem.tags if tag.startswith("size:")), "all")
                sizes.setdefault(size, []).append(second)
        report[name] = {
            "ms": {
                "median": round(1000 * statistics.median(seconds), 2),
                "mean": round(1000 * statistics.fmean(seconds), 2),
                **{size: round(1000 * statistics.fmean(values), 2) for size, values in sorted(sizes.items())},
            },
            "in common": {
                "statements": shared([[p.statement for p in of_seed] for of_seed in sets]),
                "programs": shared([[canonical(p.references[0], True) for p in of_seed] for of_seed in sets]),
                "structures": shared([[canonical(p.references[0], False) for p in of_seed] for of_seed in sets]),
            },
        }
    print(json.dumps(report, indent=1))


def timed_problems(stream: Iterator[Problem]) -> Iterator[tuple[Problem, float]]:
    """Each problem with the CPU seconds that it took."""
    while True:
        start = time.process_time()
        problem = next(stream)
        yield problem, time.process_time() - start


def shared(sets: list[list[str]]) -> float:
    """The largest share of one set's items that are in another set."""
    return round(
        max(sum(item in set(first) for item in second) / len(second) for first, second in combinations(sets, 2)), 4
    )


if __name__ == "__main__":
    main()
