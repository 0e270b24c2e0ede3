"""The report of `--flips`: what the second of two evaluations fixes and breaks against the first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rltf.report.compare.flips import Flips, count_flips, flips_by_label, holm
from rltf.report.document import Document, Table, section, table
from rltf.report.draw.numbers import percent
from rltf.report.read.evaluation import ProblemOutcome, read_heldout
from rltf.report.read.run import hydra_record
from rltf.runs.defaults import flat_config
from rltf.runs.files import EVALUATION_FILE

MOST_IDS = 40
"""Problems of each kind that are named."""
_FREE = ("benchmark.sizes", "benchmark.limit", "benchmark.path", "benchmark.examples_per_problem")
"""Keys of the benchmark in which two evaluations may differ: which of the same problems there are, and where from."""
_EQUAL = ("evaluation.split", "evaluation.temperature", "evaluation.top_p", "generation.sampling.max_new_tokens")
"""Keys beside the benchmark's in which they may not."""


@dataclass(frozen=True)
class Side:
    """One of the two evaluations."""

    name: str
    problems: tuple[ProblemOutcome, ...]
    config: Mapping[str, Any]
    """Dotted key -> value; empty when not recorded."""


def read_sides(paths: Sequence[Path]) -> tuple[Side, Side]:
    """The two evaluations: of two folders, or before and after RL of one run.

    Raises:
        ValueError: there are other than one or two paths, one has no results, or they cannot be compared.
    """
    if len(paths) == 1:
        before_rl, after_rl = _outcomes(paths[0])
        if not after_rl:
            raise ValueError(f"{paths[0]} has no results after RL: expected a finished run, or a second evaluation")
        config = flat_config(hydra_record(paths[0], "config.yaml"))
        return Side("before RL", before_rl, config), Side("after RL", after_rl, config)
    if len(paths) != 2:
        raise ValueError(f"--flips compares two evaluations, or one run before and after RL: got {len(paths)} paths")
    first, second = (
        Side(path.resolve().name, after_rl or before_rl, flat_config(hydra_record(path, "config.yaml")))
        for path in paths
        for before_rl, after_rl in [_outcomes(path)]
    )
    _check_comparable(first, second)
    return first, second


def build_flips(first: Side, second: Side) -> Document:
    """Content of the report."""
    flips = count_flips(first.problems, second.problems)
    constructs = flips_by_label(first.problems, second.problems, lambda p: [t for t in p.tags if ":" not in t])
    sizes = flips_by_label(first.problems, second.problems, lambda p: [t for t in p.tags if ":" in t])
    unshared = max(len(first.problems), len(second.problems)) - flips.problems
    shares = flips.shares
    return Document(
        title=f"Flips: {second.name} against {first.name}",
        facts=(("test", "McNemar, exact, two-sided"), ("by construct", "Holm's correction")),
        commands=(),
        tiles=(
            *(("fixed", str(len(flips.fixed))), ("broken", str(len(flips.broken)))),
            *(("same", str(flips.both_passed + flips.both_failed)), ("p", number(flips.p_value))),
            *((f"passed by {first.name}", percent(shares[0])), (f"passed by {second.name}", percent(shares[1]))),
        ),
        notices=(f"{unshared} problems are in one evaluation only, and left out.",) if unshared else (),
        results=(),
        sections=(
            *section("All problems", _flips_table({"all": flips}, first, second, "problems")),
            *section("By construct", _flips_table(constructs, first, second, "construct")),
            *section("By size and wording", _flips_table(sizes, first, second, "kind")),
            *section("Which problems", _ids_table(flips)),
        ),
        gallery=(),
        versions="",
    )


def summary_line(first: Side, second: Side) -> str:
    """The counts and the p value in one line."""
    flips = count_flips(first.problems, second.problems)
    same = f"{flips.both_passed} passed and {flips.both_failed} failed by both"
    return (
        f"{flips.problems} problems, {first.name} -> {second.name}: {len(flips.fixed)} fixed, {len(flips.broken)} "
        f"broken, "
        f"{same}; p = {number(flips.p_value)}"
    )


def number(p_value: float) -> str:
    """A p value with two significant digits.

    Example:
        >>> number(0.035156), number(1.0), number(0.00000012)
        ('0.035', '1', '1.2e-07')
    """
    return f"{p_value:.2g}"


def _flips_table(by_label: Mapping[str, Flips], first: Side, second: Side, what: str) -> Table | None:
    corrected = holm([flips.p_value for flips in by_label.values()])
    head = [what, "problems", first.name, second.name, "fixed", "broken", "p"]
    body = []
    for (label, flips), holms in zip(by_label.items(), corrected, strict=True):
        counts = [str(flips.problems), *map(percent, flips.shares), str(len(flips.fixed)), str(len(flips.broken))]
        body.append([label, *counts, number(flips.p_value), *([number(holms)] if len(by_label) > 1 else [])])
    note = "p by Holm is corrected for the number of rows; a problem counts in every row whose tag it has."
    several = len(by_label) > 1
    return table([*head, *(["p, Holm"] if several else [])], body, note if several else "")


def _ids_table(flips: Flips) -> Table | None:
    body = [[kind, _listed(ids)] for kind, ids in (("fixed", flips.fixed), ("broken", flips.broken)) if ids]
    return table(["", "problems"], body)


def _listed(ids: Sequence[str]) -> str:
    further = f" and {len(ids) - MOST_IDS} more" if len(ids) > MOST_IDS else ""
    return ", ".join(ids[:MOST_IDS]) + further


def _outcomes(path: Path) -> tuple[tuple[ProblemOutcome, ...], tuple[ProblemOutcome, ...]]:
    file = path / EVALUATION_FILE
    if not file.is_file():
        raise ValueError(f"{path} has no {EVALUATION_FILE}: expected a folder of eval.py, or of a run of train.py")
    heldout, notices = read_heldout(file)
    if heldout is None:
        raise ValueError(f"{path}: {' '.join(notices) or f'{EVALUATION_FILE} holds no results'}")
    return heldout.before_rl, heldout.after_rl


def _check_comparable(first: Side, second: Side) -> None:
    if first.config and second.config:
        keys = {key for key in {**first.config, **second.config} if key.startswith("benchmark.") or key in _EQUAL}
        keys = {key for key in keys if not key.startswith(_FREE)}
        unequal = sorted(key for key in keys if first.config.get(key) != second.config.get(key))
        if unequal:
            differences = ", ".join(
                f"{key} is {first.config.get(key)!r} and {second.config.get(key)!r}" for key in unequal
            )
            raise ValueError(f"--flips needs the same problems and prompts in both evaluations: {differences}")
    if not {p.problem_id for p in first.problems} & {p.problem_id for p in second.problems}:
        ids = f"{first.problems[0].problem_id} and {second.problems[0].problem_id}"
        raise ValueError(f"--flips needs the same problems in both evaluations: they begin with {ids} and share none")
