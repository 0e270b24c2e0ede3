"""The model card of a policy: `README.md` beside its weights, in the layout of the Hugging Face hub."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rltf import __version__
from rltf.runs.atomic import write_text
from rltf.runs.files import CONFIG_FILE
from rltf.runs.record import read_summary, read_yaml

CARD_FILE = "README.md"
_WEIGHTS = {
    "last": "those at the end of the run",
    "stopped": "those of the newest checkpoint of a run that was stopped, which were not evaluated",
    "best": "those with the best validation pass@1 of the run, which were not evaluated on the held-out problems",
}
"""Which weights of a run -> what the card says of them."""
_DATA_KEYS = ("prompt", "sizes", "parts", "limit", "tests_per_problem", "keep_constant")
"""Keys of `benchmark` that say what was trained on; others hold paths of a machine."""
_LIMITS = {
    "timeout": "seconds a test",
    "memory_mb": "MB of memory beyond the interpreter's own",
    "output_kb": "KB of output a test",
    "tasks": "processes and threads a program",
    "scratch_mb": "MB of files a program",
    "max_timeouts": "tests that may run out of time before the rest counts as such",
}
"""Key of `executor` -> its unit."""


def write_card(run: Path, folder: Path, weights: str = "last") -> None:
    """Writes the card of a run's policy.

    Args:
        run: the run folder.
        folder: of the exported policy.
        weights: `last`, `best` or `stopped`.
    """
    write_text(folder / CARD_FILE, model_card(run, weights))


def model_card(run: Path, weights: str = "last") -> str:
    """The card as Markdown. It names no path of this machine; arguments as those of `write_card`.

    Raises:
        ValueError: the run's files are damaged.
        OSError: they are not there.
    """
    config, summary = read_yaml(run / CONFIG_FILE), read_summary(run)
    model, executor = config.get("model") or {}, config.get("executor") or {}
    base = model.get("name")
    causes = {name: summary.get(name) for name in ("benchmark", "reward", "algorithm")}
    tags = ["rltf", "code", "reinforcement-learning"]
    library = "peft" if model.get("quantization") else "transformers"
    header = ["---", f"library_name: {library}", "pipeline_tag: text-generation"]
    header += [f"base_model: {base}"] if base and not Path(str(base)).is_absolute() else []
    header += ["tags:", *(f"- {tag}" for tag in tags), "---"]
    run_rows = [
        ("start", _start(model, summary)),
        ("training", _trained(model)),
        ("data", f"{causes['benchmark']}{_data(config.get('benchmark') or {})}"),
        ("reward", f"{causes['reward'] or 'of its own'}: {_terms(config.get('reward') or {})}"),
        ("algorithm", causes["algorithm"] or "of its own"),
        *((name.replace("_", " "), summary[name]) for name in _COUNTS if name in summary),
        ("seed", summary.get("seed")),
        ("weights", _WEIGHTS[weights]),
    ]
    judge_rows = [(unit, executor[key]) for key, unit in _LIMITS.items() if executor.get(key) is not None]
    versions = [*summary.get("versions", {}).items()]
    if summary.get("commit"):
        versions.insert(0, ("commit", f"`{summary['commit']}`"))
    return "\n".join(
        [
            *header,
            "",
            f"# {summary.get('model') or 'A policy'}, trained on verdicts of unit tests",
            "",
            f"A language model that writes programs, trained by reinforcement learning with rltf {__version__}: it "
            "drew programs, their unit tests were run in a sandbox, and the verdicts were the reward.",
            "",
            "## Training",
            "",
            *_table(("", ""), run_rows),
            "",
            "## Held-out problems",
            "",
            *_results(config.get("evaluation") or {}, summary, weights),
            "",
            "## The judge and its limits",
            "",
            "A program passes if it passes every test of its problem. Tests are samples of what was asked: a program "
            "that passes them may be wrong elsewhere, and a policy that is rewarded by them may learn to pass tests "
            "alone. Programs of this model are untrusted code: run them in a sandbox. Here each was stopped at:",
            "",
            *_table(("limit", ""), judge_rows),
            "",
            "## Versions",
            "",
            *_table(("", ""), versions),
            "",
        ]
    )


_COUNTS = ("iterations", "optimizer_steps", "programs_sampled")


def _results(evaluation: Mapping[str, Any], summary: Mapping[str, Any], weights: str) -> list[str]:
    """pass@k with intervals, before RL and after it where these weights were evaluated."""
    records = summary.get("evaluation", {})
    columns = [name for name in ("before", "after") if name in records and (weights == "last" or name == "before")]
    if not columns:
        return ["They were not measured."]
    intervals = {name: records[name]["pass_at_k_interval"] for name in columns}
    rows = [
        (f"pass@{k}", *(_interval(intervals[name].get(k)) for name in columns)) for k in next(iter(intervals.values()))
    ]
    rows += [("greedy", *(_percent(records[name].get("greedy_pass_at_1")) for name in columns))]
    what = (
        f"{summary.get('problems') or evaluation.get('problems') or 'all'} problems of the split "
        f"{evaluation.get('split')}, {evaluation.get('samples')} programs each at temperature "
        f"{evaluation.get('temperature')} and top-p {evaluation.get('top_p')}; 95 % intervals over problems."
    )
    return [what, "", *_table(("", *(f"{name} RL" for name in columns)), rows)]


def _interval(entry: Mapping[str, float] | None) -> str:
    return f"{entry['value']:.1%} [{entry['low']:.1%}, {entry['high']:.1%}]" if entry else "-"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _start(model: Mapping[str, Any], summary: Mapping[str, Any]) -> str:
    """What training began with."""
    if model.get("path"):
        name = str(model.get("name") or "")
        known = name and not Path(name).is_absolute()  # model=pretrained repeats the path there
        return f"`{Path(str(model['path'])).name}`, a folder" + (f" of {name}" if known else "")
    return str(model.get("name") or f"random weights ({summary.get('model') or 'a model of its own'})")


def _trained(model: Mapping[str, Any]) -> str:
    """Which weights learned, and where they lie."""
    if (quantization := model.get("quantization")) is not None:
        return f"LoRA adapters, alone here, above a base in 4 bits ({quantization})"
    return "LoRA adapters, merged here and alone in `adapter/`" if model.get("lora") else "all weights"


def _data(benchmark: Mapping[str, Any]) -> str:
    values = {key: benchmark[key] for key in _DATA_KEYS if benchmark.get(key) is not None}
    if isinstance(values.get("parts"), Mapping):  # of benchmark=mixed: whole nodes, with paths
        values["parts"] = "+".join(values["parts"])
    settings = [f"{key}={value}" for key, value in values.items()]
    return f" ({', '.join(settings)})" if settings else ""


def _terms(reward: Mapping[str, Any]) -> str:
    """Terms of a reward with their numbers."""
    terms = reward.get("terms") or {}
    return (
        "; ".join(
            f"{name} ({', '.join(f'{key} {value}' for key, value in term.items() if isinstance(value, int | float))})"
            for name, term in terms.items()
        )
        or "no terms"
    )


def _table(head: Iterable[Any], rows: Iterable[Iterable[Any]]) -> list[str]:
    heads = [str(cell) for cell in head]
    return [
        f"| {' | '.join(heads)} |",
        f"|{' --- |' * len(heads)}",
        *(f"| {' | '.join(str(cell).replace('|', '/') for cell in row)} |" for row in rows),
    ]
