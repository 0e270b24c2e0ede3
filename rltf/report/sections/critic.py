"""How far a critic can be trusted: confusion matrix of outcomes, calibration of probabilities and of values."""

from __future__ import annotations

from rltf.report.document import Table, table
from rltf.report.draw.numbers import percent
from rltf.report.read.critic import PROBABILITY_BINS, VALUE_BIN_WIDTH, CriticStats
from rltf.report.read.evaluation import STAGES


def critic_tables(stats: CriticStats, note: str) -> list[Table | None]:
    """Confusion matrix and calibration; None for what no critic predicted.

    Args:
        stats: counts over programs.
        note: which programs they are.
    """
    return [_confusion(stats, note), _passing_calibration(stats), _value_calibration(stats)]


def _confusion(stats: CriticStats, note: str) -> Table | None:
    body = []
    for stage, name in enumerate(STAGES):
        counts = [stats.confusion[stage, predicted] for predicted in range(len(STAGES))]
        if sum(counts):
            body.append([name, f"{sum(counts):,}", *(percent(count / sum(counts)) for count in counts)])
    head = ["program", "programs", *(f"predicted: {name}" for name in STAGES)]
    return table(head, body, f"The outcome that the critic held most probable. {note}".strip())


def _passing_calibration(stats: CriticStats) -> Table | None:
    body = [
        [
            f"{percent(part / PROBABILITY_BINS)} to {percent((part + 1) / PROBABILITY_BINS)}",
            f"{programs:,}",
            percent(predicted / programs),
            percent(passed / programs),
        ]
        for part, (programs, predicted, passed) in sorted(stats.passing.items())
    ]
    note = "With a calibrated critic both shares are equal."
    return table(["probability of passing", "programs", "mean predicted", "passed"], body, note)


def _value_calibration(stats: CriticStats) -> Table | None:
    body = [
        [
            f"{part * VALUE_BIN_WIDTH:+.2f} to {(part + 1) * VALUE_BIN_WIDTH:+.2f}",
            f"{programs:,}",
            f"{predicted / programs:+.3f}",
            f"{returns / programs:+.3f}",
        ]
        for part, (programs, predicted, returns) in sorted(stats.values.items())
    ]
    note = "Means over the tokens of a program; with a calibrated critic both are equal."
    return table(["value", "programs", "mean predicted", "mean return"], body, note)
