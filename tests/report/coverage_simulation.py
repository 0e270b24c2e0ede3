"""How often the interval of a paired difference holds the truth; as a script it prints that as JSON.

A row's value of a problem and seed is the problem's level, a deviation of that problem under that seed (0.1) and one of
the whole seed (`spread`); the second row adds 0.03 in the mean over problems, with 0.1 between problems."""

from __future__ import annotations

import json

import numpy as np

from rltf.report.compare.statistics import paired_difference

PROBLEMS = 100


def coverage(seeds: int, spread: float, times: int, seed: int = 3) -> float:
    """Share of simulated experiments whose interval holds the true difference."""
    generator, held = np.random.default_rng(seed), 0
    for time in range(times):
        problems = generator.normal(0.4, 0.25, PROBLEMS)
        effect = generator.normal(0.03, 0.1, PROBLEMS)
        first, second = (
            problems + generator.normal(0, 0.1, (seeds, PROBLEMS)) + generator.normal(0, spread, (seeds, 1))
            for _ in range(2)
        )
        estimate = paired_difference(first, second + effect, paired_seeds=True, resamples=500, seed=time)
        held += estimate.low <= 0.03 <= estimate.high
    return held / times


if __name__ == "__main__":
    spreads = (0.0, 0.03, 0.08)
    print(json.dumps({f"{n} seeds": {f"spread {s}": coverage(n, s, 1000) for s in spreads} for n in (2, 3, 5, 10)}))
