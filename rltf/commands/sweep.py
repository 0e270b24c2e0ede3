"""Sweeps (`python train.py -m ...`) that can be continued: a job that fails is reported and the others go on; the same
command with the same `hydra.sweep.dir` skips finished jobs and resumes the others. Light: Hydra always loads it."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from rltf.runs.atomic import write_text
from rltf.runs.files import CONFIG_FILE, OVERRIDES_FILE, RESULTS_FILE, SUMMARY_FILE, TRIALS_FILE
from rltf.runs.folder import FolderRefused, finished_score
from rltf.runs.record import overrides_path, read_overrides, read_summary
from rltf.runs.resume import check_folder
from rltf.setup.choices import typed_overrides
from rltf.validation import sentence_of

log = logging.getLogger(__name__)

RECORDS = (SUMMARY_FILE, RESULTS_FILE)
"""Files of a job that say how it ended."""
REFUSED_FILE = ".refused"
"""In a sweep's folder while it runs: names of job folders that were refused, since jobs may be other processes."""


def skip_if_finished(cfg: DictConfig) -> float | None:
    """The score of a sweep's job that is finished. None for one that is to be run, with `cfg.resume` set where it was
    begun before.

    Raises:
        FolderRefused: the folder holds the job of another sweep.
    """
    folder = Path(cfg.paths.output_dir)
    if not (folder / CONFIG_FILE).exists():
        return None
    cfg.resume = str(folder)
    score = finished_score(folder)
    config: dict[str, Any] = OmegaConf.to_container(cfg, resolve=True)  # type: ignore[assignment]
    check_folder(config, folder, resumed=True, repeats=score is not None)
    if score is not None:
        print(folder if cfg.get("quiet") else f"{folder} is done: skipped")
    return score


def record_failure(cfg: DictConfig, error: Exception) -> None:
    """Writes a job's error to its summary and log, and prints it in one line. A folder that holds another job, or that
    another process writes, stays as it is."""
    folder = Path(cfg.paths.output_dir)
    if isinstance(error, FolderRefused):
        print(f"error: {folder} stays as it is: {error}", file=sys.stderr)
        with (folder.parent / REFUSED_FILE).open("a", encoding="utf-8") as file:
            file.write(folder.name + "\n")
        return
    sentence = sentence_of(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
    log.info("the job failed", exc_info=error)  # to the job's own log
    print(f"error: {folder} failed: {sentence}", file=sys.stderr)
    summary = _read(folder)
    if summary.get("status") != "failed":
        folder.mkdir(parents=True, exist_ok=True)
        if not overrides_path(folder).exists():  # it failed before it began
            write_text(folder / OVERRIDES_FILE, json.dumps(typed_overrides() or []) + "\n")
        content = {**summary, "status": "failed", "error": f"{type(error).__name__}: {error}"}
        write_text(folder / SUMMARY_FILE, json.dumps(content, indent=2) + "\n")


class SweepEnd(Callback):
    """Prints one line per job at the end of a sweep, and ends the process with exit code 1 if any job failed."""

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Forgets what an earlier start of the sweep was refused."""
        (Path(config.hydra.sweep.dir) / REFUSED_FILE).unlink(missing_ok=True)

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        """Reads the jobs' summaries, since other processes may have written them."""
        folder = Path(config.hydra.sweep.dir)
        refused = _pop_lines(folder / REFUSED_FILE)
        jobs = sorted({path.parent for name in RECORDS for path in folder.glob(f"*/{name}")}, key=_number)
        if not jobs and not refused:
            return
        from rich.console import Console
        from rich.table import Table

        table = Table("job", "differs by", "before", "after", "status", title=f"held-out pass@k of {folder}")
        failures = 0
        overrides_of = {job: _overrides(job) for job in jobs}
        shared = set.intersection(*map(set, overrides_of.values())) if len(jobs) > 1 else set()
        for job in jobs:
            summary = _read(job) or _read_results(job)
            status = "refused" if job.name in refused else str(summary.get("status"))
            failures += status != "finished"
            overrides = " ".join(o for o in overrides_of[job] if o not in shared)
            scores = [_first(summary.get("pass_at_k", {}).get(when)) for when in ("before", "after")]
            table.add_row(str(_number(job)), overrides, *scores, status)
        console = Console(highlight=False, soft_wrap=True, quiet="quiet=true" in config.hydra.overrides.task)
        console.print(table)
        if refused:
            console.print(
                f"{len(refused)} of {len(jobs)} jobs were refused and their folders stay as they are: another command "
                "needs another hydra.sweep.dir"
            )
        if failures > len(refused):
            hint = f"the same command with hydra.sweep.dir={folder} does only those"
            if (folder / TRIALS_FILE).exists():
                hint = "failed trials are not tried again"
            console.print(f"{failures - len(refused)} of {len(jobs)} jobs did not finish: {hint}")
        if failures:
            sys.exit(1)


def _pop_lines(path: Path) -> list[str]:
    """Lines of a file, which is deleted; none where there is none."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    path.unlink()
    return lines


def _read(job: Path) -> dict[str, Any]:
    try:
        return read_summary(job)
    except (OSError, ValueError):
        return {}


def _read_results(job: Path) -> dict[str, Any]:
    """The results of an evaluation in the form of a run's summary, which it has only when it failed."""
    try:
        results = json.loads((job / RESULTS_FILE).read_text(encoding="utf-8"))
        return {"status": "finished", "pass_at_k": {"after": results["pass_at_k"]}}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _overrides(job: Path) -> list[str]:
    try:
        return read_overrides(job)
    except (OSError, ValueError):
        return []


def _number(job: Path) -> int:
    head = job.name.partition("_")[0]
    return int(head) if head.isdigit() else -1


def _first(scores: Any) -> str:
    return f"{100 * scores[min(scores, key=int)]:.1f} %" if scores else "-"
