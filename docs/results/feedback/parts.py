"""Held-out results of each choice on long programs beside `reward=binary`, and the figure of its gain by parts.

    python docs/results/feedback/parts.py RUN...     # folders of runs, or of sweeps; writes parts.csv and parts.png

Intervals are 95 %, paired over seeds and held-out problems (`rltf.report.compare.statistics`).
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from pathlib import Path

import numpy as np
import yaml

from rltf.report.compare.statistics import Estimate, paired_difference
from rltf.report.read.evaluation import HeldOut, read_heldout

HERE = Path(__file__).parent
COLUMNS = ("parts", "row", "measure", "seeds", "before", "after", "difference", "low", "high")
MEASURES = ("pass@1", "pass@10", "greedy", "tests")
BINARY = "binary"


def row_label(choices: dict, config: dict) -> str:
    """Reward, credit, algorithm and what advantages are divided by, as they are typed; defaults are left out."""
    credit, algorithm, advantages = choices["credit"], choices["algorithm"], config["algorithm"]["advantages"]
    words = [choices["reward"]] if algorithm == "rltf_group" else [f"algorithm={algorithm}"]
    words += [f"credit={credit}"] if credit != "none" else []
    divided = (config.get("credit") or {}).get("normalize", "std")
    words += [f"credit.normalize={divided}"] if credit == "tests" and divided != "std" else []
    if algorithm == "rltf_group" and credit == "none":
        words += [f"normalize={advantages['normalize']}"] if advantages["normalize"] != "std" else []
        words += ["terms=apart"] if advantages.get("terms", "together") != "together" else []
        words += ["groups=all"] if advantages.get("groups", "all") == "all" and not _same_in_all_groups(choices) else []
    return " ".join(words)


def _same_in_all_groups(choices: dict) -> bool:
    """Whether a group without a pass has no spread anyway."""
    return choices["reward"] == BINARY


def read_runs(folders: list[Path]) -> dict[tuple[int, str], dict[int, HeldOut]]:
    """(parts, row) -> seed -> held-out outcomes of each finished run."""
    runs: dict[tuple[int, str], dict[int, HeldOut]] = defaultdict(dict)
    for folder in folders:
        for file in sorted(folder.rglob("evaluation.json")):
            config = yaml.safe_load((file.parent / "config.yaml").read_text(encoding="utf-8"))
            hydra = yaml.safe_load((file.parent / ".hydra" / "hydra.yaml").read_text(encoding="utf-8"))["hydra"]
            heldout, _ = read_heldout(file)
            if heldout is not None and heldout.after_rl:
                key = (config["benchmark"]["parts"][0], row_label(hydra["runtime"]["choices"], config))
                runs[key][config["seed"]] = heldout
    return runs


def table(runs: dict[tuple[int, str], dict[int, HeldOut]]) -> list[dict[str, object]]:
    """One row for each number of parts, choice and measure."""
    rows = []
    for parts, label in sorted(runs):
        seeds = sorted(runs[parts, label])
        shared = [seed for seed in seeds if seed in runs.get((parts, BINARY), {})]
        for measure in MEASURES:
            values = {when: _values(runs[parts, label], seeds, when, measure) for when in ("before", "after")}
            difference = Estimate(float("nan"))
            if label != BINARY and shared:
                pair = [_values(runs[parts, name], shared, "after", measure) for name in (BINARY, label)]
                difference = paired_difference(*pair, paired_seeds=True)
            cells = (parts, label, measure, " ".join(map(str, seeds)), values["before"].mean(), values["after"].mean())
            rows.append(dict(zip(COLUMNS, (*cells, difference.value, difference.low, difference.high), strict=True)))
    return rows


def _values(heldouts: dict[int, HeldOut], seeds: list[int], when: str, measure: str) -> np.ndarray:
    return np.stack([heldouts[seed].values(when, measure) for seed in seeds])


def _cell(value: object) -> object:
    if isinstance(value, float):
        return "" if np.isnan(value) else f"{value:.4f}"
    return value


def draw(rows: list[dict[str, object]], path: Path) -> None:
    """The figure: gain over binary in points, of pass@1 and of the share of tests passed."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, panels = plt.subplots(1, 2, figsize=(7.2, 2.9), layout="constrained")
    ticks = sorted({int(r["parts"]) for r in rows})
    for axes, (measure, title) in zip(panels, (("pass@1", "pass@1"), ("tests", "tests passed")), strict=True):
        curves = [r for r in rows if r["measure"] == measure and r["row"] != BINARY]
        for label in dict.fromkeys(str(r["row"]) for r in curves):
            points = [r for r in curves if r["row"] == label]
            if len(points) == 1:
                continue
            gains = np.array([100 * r["difference"] for r in points])
            bounds = [[0 if r[end] is None else 100 * abs(r["difference"] - r[end]) for r in points]
                      for end in ("low", "high")]  # fmt: skip
            axes.errorbar([r["parts"] for r in points], gains, yerr=bounds, marker="o", capsize=3, label=label)
        axes.axhline(0, color="grey", linewidth=0.8)
        axes.set_xscale("log", base=2)
        axes.set_xticks(ticks, [str(t) for t in ticks])
        axes.minorticks_off()
        axes.set_xlabel("parts of a program")
        axes.set_ylabel(f"{title}, points above binary")
    panels[1].legend(frameon=False, loc="upper left")
    figure.savefig(path, dpi=150)


def main() -> None:
    """Writes the table and the figure beside this script."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path)
    rows = table(read_runs(parser.parse_args().runs))
    with (HERE / "parts.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows({k: _cell(v) for k, v in row.items()} for row in rows)
    draw(rows, HERE / "parts.png")


if __name__ == "__main__":
    main()
