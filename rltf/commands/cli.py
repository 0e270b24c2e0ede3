"""The command line: Hydra composes the config, `train`, `evaluate` or `run_job` runs, and a mistake of the user exits
with one sentence and code 2.

Nothing heavy is imported here, so `--help`, `--cfg job` and a mistyped key answer at once.
"""

from __future__ import annotations

import atexit
import difflib
import os
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NoReturn

from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from rltf.commands.overrides import config_dir, policy_overrides, train_overrides
from rltf.runs.failures import USER_MISTAKE, Stopped, exit_code
from rltf.runs.folder import first_process
from rltf.validation import sentence_of

SIGNALLED = (128 + signal.SIGTERM, 128 + signal.SIGINT)
"""Exit codes of a run that was told to end."""


def command(name: str) -> None:
    """Runs the command `train` or `eval` with the process's arguments; exits the process on mistakes."""
    import hydra
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    # Idle OpenMP threads must sleep, not spin, beside the sandbox's processes: spinning costs a factor of eight on two
    # cores. Read once, when torch is loaded; so is the rule that tokenizers must not fork warnings out of us.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    ensure_home()
    wants_traceback = os.environ.get("HYDRA_FULL_ERROR") == "1"
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra hands errors on, so that we choose what is printed

    started: list[bool] = []

    def job(cfg: DictConfig) -> float | None:
        started.append(True)
        from rltf.commands import sweep
        from rltf.commands.evaluate import evaluate
        from rltf.commands.job import is_job, run_job
        from rltf.commands.train import train

        in_sweep = name == "train" and HydraConfig.get().mode == RunMode.MULTIRUN
        try:
            score = sweep.skip_if_finished(cfg) if in_sweep else None
            if score is None and is_job(cfg):
                run_job(cfg)
                return None
            return {"train": train, "eval": evaluate}[name](cfg).score if score is None else score
        except Exception as error:
            if in_sweep:
                sweep.record_failure(cfg, error)
                return None  # the other jobs go on; a search takes it for a failed trial
            if wants_traceback or not isinstance(error, ValueError | Stopped):
                raise
            fail(explain(error), exit_code(error))
        except SystemExit as stop:
            if name == "train" and stop.code in SIGNALLED and first_process():
                continuation = (
                    f"the same command with hydra.sweep.dir={HydraConfig.get().sweep.dir}"
                    if in_sweep
                    else f"python train.py resume={cfg.paths.output_dir}"
                )
                print(f"interrupted: {continuation} goes on from the last checkpoint", file=sys.stderr)
            raise

    try:
        sys.argv[1:] = {"train": train_overrides, "eval": policy_overrides}[name](sys.argv[1:])
    except ValueError as error:
        fail(str(error))
    run: Callable[[], None] = hydra.main(version_base="1.3", config_path=str(config_dir()), config_name=name)(job)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _exit_on_signal)
    try:
        run()
    except (ValueError, HydraException, OmegaConfBaseException) as error:
        if wants_traceback:
            raise
        fail(explain(error))
    except OSError as error:
        if wants_traceback or started:
            raise
        fail(f"paths.root: the run folder cannot be made ({error}), choose another with paths.root=FOLDER")


def ensure_home() -> None:
    """Sets HOME to a folder that is deleted at the end of the process, for a user who has no home: a container's user
    id without HOME and without an account. W&B and caches would fail there, or write to a folder that is called `~`."""
    try:
        Path.home()
    except RuntimeError:
        home = TemporaryDirectory(prefix="rltf-home-")
        atexit.register(home.cleanup)
        os.environ["HOME"] = home.name
        print(
            "warning: this user has no home: caches are kept for this command alone, unless HOME is set",
            file=sys.stderr,
        )


def _exit_on_signal(number: int, _: object) -> NoReturn:
    """Exits with the code that shells expect after SIGTERM of a scheduler or Ctrl-C; the summary is written on the
    way. (KeyboardInterrupt would not do: Lightning makes it exit code 1.)"""
    sys.exit(128 + number)


def explain(error: Exception) -> str:
    """One sentence for a mistake; an unknown name comes with the nearest known ones."""
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, choice = error.missing_cfg_file.rpartition("/")
        # Hydra gives no options for a list of choices
        options = error.options or [file.stem for file in (config_dir() / group).glob("*.yaml")]
        options = sorted(option for option in options if not option.startswith("_"))
        similar_names = difflib.get_close_matches(choice, options, n=3, cutoff=0.4)
        hint = f"did you mean {' or '.join(similar_names)}?" if similar_names else f"known are {', '.join(options)}"
        return f"{group}={choice} is not known: {hint}"
    if isinstance(error, OverrideParseException):
        return f"{error.override} on the command line does not parse: expected key=value, with quotes round odd values"
    text = sentence_of(error)
    return re.sub(r" ?set the environment variable HYDRA_FULL_ERROR=1.*", "", text, flags=re.IGNORECASE)


def fail(sentence: str, code: int = USER_MISTAKE) -> NoReturn:
    """Prints `error: sentence` and ends the process."""
    print(f"error: {sentence}", file=sys.stderr)
    sys.exit(code)
