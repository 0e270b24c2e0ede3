"""What got slower or larger than it was: the short performance scripts against their baselines.

    python tests/perf/baselines/perf_compare.py [SCRIPT...] [--record]

Each script measures ratios side by side, several rounds each. A baseline, one JSON file a script, has the ratios of
two runs: their median, and their spread from the smallest to the largest single round. A figure got worse where the
median of the rounds measured now lies beyond the spread, and lies there again when the script runs once more and the
rounds of both runs are taken together. What lies inside says nothing: a change smaller than the spread is not seen.

The exit code is 0 where nothing got worse, 1 where something did, 2 where a figure of a baseline is not measured any
more. `--record` writes the baselines anew: with the commit that last changed the code, the processor and the versions.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any

from short_scripts import ROOT, SHORT_SCRIPTS, Figure, ShortScript

FOLDER = Path(__file__).resolve().parent
RECORDED_RUNS = 2
MEASURED_CODE = ("rltf", "configs", ":!rltf/report")


@dataclass(frozen=True)
class Comparison:
    """One figure, then and now."""

    name: str
    better: str
    """`higher` or `lower`."""
    spread: tuple[float, float] | None
    """Smallest and largest round of the baseline; None: there is no baseline."""
    before: float | None
    """Median of the baseline."""
    now: float | None
    """Median of the rounds; None: the figure is not measured any more."""

    @property
    def change(self) -> str:
        """`worse`, `better`, `same` (inside the spread), `new` (no baseline) or `gone`."""
        if self.spread is None:
            return "new"
        if self.now is None:
            return "gone"
        if self.spread[0] <= self.now <= self.spread[1]:
            return "same"
        return "better" if (self.now > self.spread[1]) == (self.better == "higher") else "worse"


def compare(baseline: dict[str, dict[str, Any]], figures: Iterable[Figure]) -> list[Comparison]:
    """Each figure of a baseline or of now, in the order of now.

    Args:
        baseline: by name of the figure, `better`, `median` and `spread`, as a baseline's file has them under `figures`.
        figures: what was measured now.
    """
    rows = []
    for figure in figures:
        then = baseline.get(figure.name)
        spread = (then["spread"][0], then["spread"][1]) if then else None
        before = then["median"] if then else None
        rows.append(Comparison(figure.name, figure.better, spread, before, median(figure.values)))
    measured = {row.name for row in rows}
    for name, then in baseline.items():
        if name not in measured:
            rows.append(Comparison(name, then["better"], (then["spread"][0], then["spread"][1]), then["median"], None))
    return rows


def joined(runs: Iterable[list[Figure]]) -> list[Figure]:
    """The figures of several runs of a script, with the rounds of all of them."""
    values: dict[tuple[str, str], tuple[float, ...]] = {}
    for run in runs:
        for figure in run:
            key = figure.name, figure.better
            values[key] = (*values.get(key, ()), *figure.values)
    return [Figure(name, better, rounds) for (name, better), rounds in values.items()]


def compare_script(baseline: dict[str, dict[str, Any]], run: Callable[[], list[Figure]]) -> list[Comparison]:
    """The comparison of one run, or of two where the first has a figure that looks worse."""
    first = run()
    rows = compare(baseline, first)
    if any(row.change == "worse" for row in rows):
        rows = compare(baseline, joined([first, run()]))
    return rows


def baseline_figures(figures: Iterable[Figure]) -> dict[str, dict[str, Any]]:
    """The figures as a baseline has them."""
    return {
        figure.name: {
            "better": figure.better,
            "median": round(median(figure.values), 4),
            "spread": [min(figure.values), max(figure.values)],
            "rounds": len(figure.values),
        }
        for figure in figures
    }


def machine() -> dict[str, Any]:
    """What ratios depend on: the processor, the cores, the versions; no name of a host or folder."""
    lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "processor": models[0] if models else platform.machine(),
        "avx512": any("avx512f" in line for line in lines),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in ("torch", "transformers", "lightning")},
    }


def git(*arguments: str) -> str:
    """What git answers about this checkout."""
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def record(script: ShortScript) -> None:
    """Writes the baseline of a script."""
    if changes := git("status", "--porcelain", "--", *MEASURED_CODE):
        raise SystemExit(f"error: a baseline is that of a commit; these are not committed:\n{changes}")
    figures = joined(script.run() for _ in range(RECORDED_RUNS))
    content = {
        "script": script.command,
        "date": date.today().isoformat(),
        "commit": git("log", "-1", "--format=%h", "--abbrev=12", "--", *MEASURED_CODE),
        "machine": machine(),
        "runs": RECORDED_RUNS,
        "figures": baseline_figures(figures),
    }
    (FOLDER / f"{script.name}.json").write_text(json.dumps(content, indent=1) + "\n", "utf-8")
    print(f"{script.name}: {len(figures)} figures")


def load(script: ShortScript) -> dict[str, Any]:
    """The baseline of a script, without figures where it has none."""
    file = FOLDER / f"{script.name}.json"
    return json.loads(file.read_text("utf-8")) if file.exists() else {"machine": None, "figures": {}}


def line(row: Comparison) -> str:
    """One row of the table that is printed."""
    now = "-" if row.now is None else f"{row.now:.3f}"
    spread = "-" if row.spread is None else f"{row.spread[0]:.3f} to {row.spread[1]:.3f}"
    before = "-" if row.before is None else f"{row.before:.3f}"
    share = f" ({row.now / row.before - 1:+.1%})" if row.now is not None and row.before else ""
    return f"  {row.change:6}  {row.name:52}  {now:>8}  was {before:>8} ({spread}), {row.better} is better{share}"


def exit_code(rows: Iterable[Comparison]) -> int:
    """1 where something got worse, else 2 where a figure is gone, else 0."""
    changes = {row.change for row in rows}
    return 1 if "worse" in changes else 2 if "gone" in changes else 0


def main() -> int:
    """Command line; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scripts", nargs="*", metavar="SCRIPT", help=", ".join(s.name for s in SHORT_SCRIPTS))
    parser.add_argument("--record", action="store_true", help="write the baselines anew")
    arguments = parser.parse_args()
    known = {script.name: script for script in SHORT_SCRIPTS}
    if unknown := set(arguments.scripts) - set(known):
        parser.error(f"no such script: {', '.join(sorted(unknown))}; known are {', '.join(known)}")
    scripts = [known[name] for name in arguments.scripts or known]
    if arguments.record:
        for script in scripts:
            record(script)
        return 0
    here, rows = machine(), []
    for script in scripts:
        baseline = load(script)
        print(script.command, flush=True)
        if baseline["machine"] and baseline["machine"] != here:
            differing = [key for key, value in here.items() if baseline["machine"].get(key) != value]
            print(f"  (the baseline is that of another machine: {', '.join(differing)})")
        rows += (compared := compare_script(baseline["figures"], script.run))
        print("\n".join(map(line, compared)), flush=True)
    worse = [row.name for row in rows if row.change == "worse"]
    print(f"worse than its spread: {', '.join(worse)}" if worse else "nothing is worse than its spread")
    return exit_code(rows)


if __name__ == "__main__":
    sys.exit(main())
