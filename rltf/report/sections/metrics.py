"""Charts of logged metrics, with their titles and labels. A chart whose metrics were not logged is left out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean

from rltf.report.compare.settings import Row, all_runs
from rltf.report.draw.bars import time_chart
from rltf.report.draw.chart import Chart
from rltf.report.draw.curves import AxisStyle, Line, Panel, area_chart, line_chart
from rltf.report.read.metrics import Point
from rltf.report.read.run import Run, as_object
from rltf.types import Outcome

OUTCOMES = (
    (Outcome.PASSED, "passed", "passed"),
    (Outcome.WRONG_ANSWER, "wrong answer", "wrong"),
    (Outcome.UNJUDGEABLE, "not judged", "unjudgeable"),
    (Outcome.RUNTIME_ERROR, "runtime error", "runtime"),
    (Outcome.TIMEOUT, "timeout", "timeout"),
    (Outcome.MEMORY_LIMIT, "memory limit", "limit"),
    (Outcome.OUTPUT_LIMIT, "output limit", "limit"),
    (Outcome.VIOLATION, "violation", "violation"),
    (Outcome.SYNTAX_ERROR, "syntax error", "syntax"),
)
"""Outcome, its label and its colour, from the bottom of the chart to its top."""

PHASES = (
    ("setup", "start-up", "limit"),
    ("warmup", "warm-up", "timeout"),
    ("generation", "sampling programs", "wrong"),
    ("execution_wait", "waiting for tests", "syntax"),
    ("critic", "critic", "violation"),
    ("training", "training", "passed"),
    ("evaluation", "evaluation", "runtime"),
)
"""Phase of `perf/seconds/`, its label and its colour."""

BANDS = "Lines are means over seeds, bands reach from the lowest to the highest seed."


def learning_charts(rows: Sequence[Row]) -> list[Chart | None]:
    """Charts of validation, rewards and outcomes."""
    ks = _logged_ks(rows)
    validation = [(f"pass@{k}", f"val/pass@{k}") for k in ks] + [("greedy pass@1", "val/greedy_pass@1")]
    terms = list(dict.fromkeys(n for run in all_runs(rows) for n in run.metrics.names("rollout/reward/")))
    reward = [("sampled programs", "rollout/reward_mean"), ("greedy program", "rollout/greedy_reward_mean")]
    row_terms = {frozenset(n for run in row.runs for n in run.metrics.names("rollout/reward/")) for row in rows}
    terms_note = "The rows' rewards have different terms: their heights do not compare." if len(row_terms) > 1 else ""
    spread = "Weights on spans of tokens are spread over all tokens of their program."
    earned = "rollout/advantage_by_outcome/"
    advantages = [
        *((label, earned + outcome) for outcome, label, _ in OUTCOMES),
        ("wrong answer where none passes", f"{earned}none_pass/wrong_answer"),
    ]
    shares = [(term, f"reward/{term}/share_of_variance") for term in terms]
    return [
        *_charts(rows, "validation", "Validation", validation, "pass rate", share=True, zero=True),
        *_charts(rows, "reward", "Mean reward of an iteration's programs", reward, "reward a program", note=terms_note),
        *_charts(rows, "passed", "Share of sampled programs that passed", [("passed", "rollout/outcome/passed")],
                 "share of programs", share=True, zero=True) * (len(rows) > 1),
        _outcomes_chart(rows),
        *_charts(rows, "reward_terms", "Mean reward by term", [(n.removeprefix("rollout/reward/"), n) for n in terms],
                 "reward a program", note=spread) * (len(rows) == 1 and len(terms) > 1),
        *_charts(rows, "advantages", "Mean advantage by outcome", advantages, "advantage a program",
                 note="Where a wrong answer earns more than a pass, the policy learns to be wrong.") * (len(rows) == 1),
        *_charts(rows, "variance", "What the differences of reward within a group are made of", shares,
                 "share of variance", share=True) * (len(rows) == 1 and len(terms) > 1),
    ]  # fmt: skip


def policy_charts(rows: Sequence[Row]) -> list[Chart | None]:
    """Charts of entropy, KL to the start, losses, lengths, curriculum and groups."""
    losses = [("total", "loss/total"), ("supervised", "loss/supervised"), ("RL", "loss/rl"),
              ("auxiliary", "loss/auxiliary")]  # fmt: skip
    entropy = [("policy", "policy/entropy"), ("on its own programs", "rl/entropy")]
    groups = [("none pass", "none_pass"), ("all pass", "all_pass"), ("some pass", "some_pass")]
    if len(rows) > 1:
        groups = groups[-1:]
    flat = "Where all earn the same, a baseline of the group's mean leaves nothing to learn."
    return [
        *_charts(rows, "entropy", "Entropy of the policy", entropy, "nats a token", zero=True),
        *_charts(rows, "kl", "KL to the policy that RL started from",
                 [("policy", "policy/kl"), ("penalty", "rl/kl")], "nats a token"),
        *_charts(rows, "loss", "Loss", losses, "loss"),
        *_warmup_chart(rows),
        *_charts(rows, "residual", "What is missing to path consistency (soft Q-learning)",
                 [("one step", "rl/residual_single"), ("to the end", "rl/residual_multi")], "nats"),
        *_charts(rows, "value", "Value of a state against the start's (soft Q-learning)",
                 [("value", "rl/value_mean"), ("reward still to come", "rl/return_mean")], "nats"),
        *_charts(rows, "contrast", "Anchors whose own positive is nearest (contrast)",
                 [("of the batch", "auxiliary/accuracy"), ("of their problem", "auxiliary/accuracy_same_problem"),
                  ("guessing", "auxiliary/chance")], "share of anchors", share=True, zero=True),
        *_charts(rows, "ratio", "Probability ratio to the policy that drew", [("mean", "rl/ratio_mean")], "ratio"),
        *_charts(rows, "grad_norm", "Norm of the gradient", [("before clipping", "optimizer/grad_norm")], "norm",
                 zero=True),
        *_charts(rows, "length", "Length of programs", [("mean", "completion/length_mean")], "tokens", zero=True),
        *_charts(rows, "truncated", "Programs cut at the length limit",
                 [("cut", "completion/truncated_share")], "share of programs", share=True, zero=True),
        *_charts(rows, "curriculum", "Where the curriculum stands",
                 [("given of a program", "curriculum/given_share"),
                  ("problems written whole", "curriculum/whole_share"),
                  ("of those that come back, with a head start", "curriculum/head_start_share")],
                 "share", share=True, zero=True),
        *_charts(rows, "pools", "Training problems by their pass rate so far",
                 [*((name, f"curriculum/pool/{name}") for name in ("new", "easy", "mid", "hard", "dead")),
                  ("left out", "curriculum/left_out")], "share of problems", share=True, zero=True),
        *(chart for name, title in (("prefix", "Programs that begin with a prefix"), ("repair", "Repair turns"))
          for chart in _charts(rows, name, title,
                 [("of all programs", f"rollout/{name}/share"), ("pass", f"rollout/{name}/passed"),
                  ("groups in which some pass", f"rollout/{name}/some_pass")], "share", share=True, zero=True)),
        *_charts(rows, "unexecuted", "Lines that no test executed", [("mean a program", "rollout/unexecuted_lines")],
                 "share of lines", share=True, zero=True),
        *_charts(rows, "divergence", "Wrong answers whose diverging line is known",
                 [("known", "rollout/divergence_share")], "share of wrong answers", share=True, zero=True),
        *_charts(rows, "groups", "Problems by what their sampled programs did",
                 [(label, f"rollout/groups/{name}") for label, name in groups], "share of problems",
                 share=True, zero=True, note=flat),
    ]  # fmt: skip


def critic_charts(rows: Sequence[Row]) -> list[Chart | None]:
    """Charts of the critic's accuracy before it learned from an iteration's programs, and of the KL cost of PPO."""
    accuracy = [("most probable outcome is the true one", "critic/accuracy"),
                ("probability of the true outcome", "critic/true_probability"),
                ("calibration error of passes", "critic/calibration_error"),
                ("explained variance of returns", "critic/explained_variance")]  # fmt: skip
    values = [("value", "critic/value_mean"), ("return", "critic/return_mean")]
    return [
        *_charts(rows, "critic", "How right the critic was of programs it had not seen", accuracy, "share", share=True),
        *_charts(rows, "values", "What the critic expected and what came", values, "mean over tokens"),
        *_charts(
            rows, "critic_kl", "Divergence that PPO makes tokens pay for", [("KL", "critic/kl")], "nats a program"
        ),
    ]


def grounding_charts(rows: Sequence[Row]) -> list[Chart | None]:
    """Charts of the reward term `grounding`: what static checks found, and how well programs were told from references,
    by a discriminator that had not learned from them."""
    checks = ("syntax", "undefined", "entry", "value", "arity", "unbound", "unreachable", "unused", "shadowed")
    violated = [(check, f"reward/grounding/violated/{check}") for check in checks]
    compared = [("reference held for the better one", "reward/grounding/pair_accuracy")]
    return [
        *_charts(rows, "clean", "Programs without a hard violation", [("clean", "reward/grounding/clean")],
                 "share of programs", share=True),
        *_charts(rows, "violated", "Programs that violate a check", violated, "share of programs",
                 share=True, zero=True),
        *_charts(rows, "pairs", "How well the discriminator told programs from references", compared, "share of pairs",
                 share=True, note="1 for long: nothing is left to earn; 0.5: no signal."),
        *_charts(rows, "pair_difference", "What it held a program for, less its reference",
                 [("difference", "reward/grounding/difference")], "mean over pairs"),
    ]  # fmt: skip


def time_charts(rows: Sequence[Row]) -> list[Chart | None]:
    """Charts of wall time by phase: of whole runs and, for a single run, of each iteration."""
    runs = {row.label if len(rows) > 1 else "": row.finished or row.runs for row in rows}
    phases = [*((label, colour) for _, label, colour in PHASES), ("other", "rule")]
    bars = []
    for row_label, row_runs in runs.items():
        seconds = [phase_seconds(run) for run in row_runs]
        bars.append((row_label, [(label, colour, fmean(s[label] for s in seconds)) for label, colour in phases]))
    has_means = any(len(row_runs) > 1 for row_runs in runs.values())
    run_chart = time_chart("time", "The whole run", bars, "Means over runs." if has_means else "")
    if len(rows) > 1 or len(rows[0].runs) > 1:
        return [run_chart]
    names = [f"perf/seconds/{phase}" for phase, _, _ in PHASES]
    curves = map(rows[0].runs[0].metrics.after_warmup, names)
    parts = [(label, colour, curve) for (_, label, colour), curve in zip(PHASES, curves, strict=True)]
    panels = [Panel("", parts)]
    return [run_chart, area_chart("iteration_time", "Time of each iteration", panels, False, names, "seconds")]


def phase_seconds(run: Run) -> dict[str, float]:
    """Label of a phase -> wall seconds, by the summary, else by `metrics.csv`; the rest of the total is `other`."""
    recorded_seconds = {k: v for k, v in as_object(run.summary.get("seconds")).items() if isinstance(v, int | float)}
    logged_seconds = {phase: run.metrics.total(f"perf/seconds/{phase}") for phase, _, _ in PHASES}
    seconds = {label: recorded_seconds.get(phase, logged_seconds[phase]) for phase, label, _ in PHASES}
    total = recorded_seconds.get("total", 0.0)
    remainder = total - math.fsum(seconds.values())
    return {**seconds, "other": remainder if remainder > 0.001 * total else 0.0}  # less is rounding


def metric_line(label: str, runs: Sequence[Run], metric: str, style: int = -1) -> Line:
    """Mean of a metric of RL over runs, at the steps that all have logged, with the range of several runs."""
    return _mean_line(label, [run.metrics.after_warmup(metric) for run in runs], style)


def _mean_line(label: str, curves: Sequence[Sequence[Point]], style: int) -> Line:
    tables = [dict(curve) for curve in curves if curve]
    steps = sorted(set.intersection(*map(set, tables))) if tables else []
    values = {x: [t[x] for t in tables] for x in steps}
    if len(tables) < 2:
        return Line(label, [(x, v[0]) for x, v in values.items()], style=style)
    mean, low, high = ([(x, of_runs(v)) for x, v in values.items()] for of_runs in (fmean, min, max))
    return Line(label, mean, low, high, style)


def _charts(
    rows: Sequence[Row],
    name: str,
    title: str,
    metrics: Sequence[tuple[str, str]],
    y: str,
    share: bool = False,
    zero: bool = False,
    note: str = "",
) -> list[Chart | None]:
    """One row: one chart with a line per metric. Several rows: one chart per metric with a line per row."""
    bands = BANDS if any(len(row.runs) > 1 for row in rows) else ""
    if len(rows) == 1:
        lines = [metric_line(label, rows[0].runs, metric) for label, metric in metrics]
        axis = AxisStyle(share, zero, y=y, metrics=tuple(metric for _, metric in metrics))
        return [line_chart(name, title, lines, axis, f"{note} {bands}".strip())]
    charts = []
    for i, (label, metric) in enumerate(metrics):
        lines = [metric_line(row.label, row.runs, metric, style) for style, row in enumerate(rows)]
        missing = [line.label for line in lines if not line.points]
        missing_note = f"Not logged by {', '.join(missing)}." if 0 < len(missing) < len(lines) else ""
        chart_name, chart_title = (f"{name}_{i + 1}", f"{title}: {label}") if len(metrics) > 1 else (name, title)
        axis, notes = AxisStyle(share, zero, y=y, metrics=(metric,)), filter(None, (note, missing_note, bands))
        charts.append(line_chart(chart_name, chart_title, lines, axis, " ".join(notes)))
    return charts


def _warmup_chart(rows: Sequence[Row]) -> list[Chart | None]:
    """The supervised loss before RL; curves of rows with the same warm-up coincide."""
    labels = ["warm-up"] if len(rows) == 1 else [row.label for row in rows]
    curves = [[run.metrics.in_warmup("loss/total") for run in row.runs] for row in rows]
    lines = [_mean_line(label, curves[style], style) for style, label in enumerate(labels)]
    axis = AxisStyle(x="optimiser steps", y="loss", metrics=("loss/total",))
    return [line_chart("warmup_loss", "Loss of the supervised warm-up", lines, axis)]


def _outcomes_chart(rows: Sequence[Row]) -> Chart | None:
    names = [f"rollout/outcome/{outcome}" for outcome, _, _ in OUTCOMES]
    panels = []
    for row in rows:
        points = [metric_line("", row.runs, name).points for name in names]
        curves = {outcome: curve for (outcome, _, _), curve in zip(OUTCOMES, points, strict=True)}
        if shares := dict(curves[Outcome.UNJUDGEABLE]):  # logged only where there are such programs
            curves[Outcome.UNJUDGEABLE] = [(step, shares.get(step, 0.0)) for step, _ in curves[Outcome.PASSED]]
        parts = [(label, colour, curves[outcome]) for outcome, label, colour in OUTCOMES]
        panels.append(Panel(row.label, parts))
    return area_chart("outcomes", "Outcomes of sampled programs", panels, True, names, "share of programs")


def _logged_ks(rows: Sequence[Row]) -> list[int]:
    """Every k for which a run has logged `val/pass@k`, rising."""
    prefix = "val/pass@"
    names = (name for run in all_runs(rows) for name in run.metrics.names(prefix))
    return sorted({int(k) for name in names if (k := name.removeprefix(prefix)).isdigit()})
