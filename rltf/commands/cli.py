"""The command line: Hydra composes the config, it is checked, `train`, `evaluate` or `run_job` runs. A user's mistake
ends in one sentence and exit code 2.

Nothing heavy is imported here before the config is checked, so `--help`, `--cfg job` and mistakes answer at once.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NoReturn

from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from rltf.commands.heap import resting_collector
from rltf.commands.key_help import HELP_FLAGS, help_text
from rltf.commands.mistakes import explain
from rltf.commands.overrides import policy_overrides, train_overrides
from rltf.commands.policy import find_policy
from rltf.runs.defaults import config_dir
from rltf.runs.failures import USER_MISTAKE, Stopped, exit_code
from rltf.runs.folder import first_process
from rltf.runs.resume import check_folder
from rltf.setup.benchmark import build_benchmark
from rltf.setup.checks import check_config
from rltf.setup.choices import fill_names, headline

SIGNALLED = (128 + signal.SIGTERM, 128 + signal.SIGINT)
"""Exit codes of a run that was told to end."""


def command(name: str, prefix: Sequence[str] = ()) -> None:
    """Runs a command with the process's arguments; exits the process on mistakes.

    Args:
        name: `train` or `eval`.
        prefix: arguments before those, which choose the command when the process is started again (`rltf train`):
            strategies with several processes do that.
    """
    import hydra
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    # Idle OpenMP threads must sleep, not spin, beside the sandbox's processes: spinning costs a factor of eight on two
    # cores. Read once, when torch is loaded; so is the rule that tokenizers must not fork warnings out of us.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    ensure_home()
    sys.path.append(os.getcwd())  # classes of one's own may lie where the command is typed; last, so they hide nothing
    wants_traceback = os.environ.get("HYDRA_FULL_ERROR") == "1"
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra hands errors on, so that we choose what is printed

    started: list[bool] = []

    def job(cfg: DictConfig) -> float | None:
        from rltf.commands import sweep

        if not started:
            sys.argv[1:1] = prefix
        started.append(True)
        in_sweep = HydraConfig.get().mode == RunMode.MULTIRUN
        try:
            score = sweep.skip_if_finished(cfg) if in_sweep and name == "train" else None
            return run_checked(name, cfg) if score is None else score
        except Exception as error:
            if in_sweep:
                sweep.record_failure(cfg, error)
                return None  # the other jobs go on; a search takes it for a failed trial
            if wants_traceback or not isinstance(error, ValueError | Stopped):
                raise
            fail(explain(error, name), exit_code(error))
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
        if any(flag in sys.argv[1:] for flag in HELP_FLAGS):
            print(help_text(name, sys.argv[1:]))
            return
    except ValueError as error:
        fail(str(error))
    except (HydraException, OmegaConfBaseException) as error:  # of --help: what it should be of cannot be composed
        fail(explain(error, name, sys.argv[1:]))
    run: Callable[[], None] = hydra.main(version_base="1.3", config_path=str(config_dir()), config_name=name)(job)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _exit_on_signal)
    try:
        run()
    except (ValueError, HydraException, OmegaConfBaseException) as error:
        if wants_traceback:
            raise
        fail(explain(error, name, sys.argv[1:]))
    except OSError as error:
        if wants_traceback or started:
            raise
        fail(f"paths.root: the run folder cannot be made ({error}), choose another with paths.root=FOLDER")


def run_checked(name: str, cfg: DictConfig) -> float | None:
    """Checks the whole config, prints what will be done and where, and does it.

    Args:
        name: `train` or `eval`.
        cfg: the whole config.

    Returns:
        The score that a sweep maximises; None for a job that trains no policy.

    Raises:
        ValueError: a mistake of the user.
    """
    if name == "eval":
        find_policy(cfg)
    check_config(cfg, name)
    fill_names(cfg)
    if first_process():
        config: dict[str, Any] = OmegaConf.to_container(cfg, resolve=True)  # type: ignore[assignment]
        repeats = name == "eval" or cfg.get("job") is not None
        check_folder(config, Path(cfg.paths.output_dir), bool(cfg.get("resume")), repeats)
        if not cfg.quiet:
            print(headline(cfg), flush=True)
    score = _run(name, cfg)
    if first_process() and cfg.quiet:
        print(cfg.paths.output_dir)
    return score


def _run(name: str, cfg: DictConfig) -> float | None:
    if name == "eval":
        with resting_collector():
            from rltf.commands.evaluate import evaluate

        return evaluate(cfg).score
    if cfg.get("job") is not None:
        from rltf.commands.job import run_job

        run_job(cfg)
        return None
    benchmark = build_benchmark(cfg)
    if "torch" not in sys.modules:  # the first job of a sweep; a process with threads must not fork
        benchmark.prepare("train")
    with resting_collector():
        from rltf.commands.train import train

    return train(cfg, benchmark).score


def ensure_home() -> None:
    """Sets HOME to a folder that is deleted at the end of the process, for a user who has no home: a container's user
    id without HOME and without an account. W&B and caches would fail there, or write to a folder that is called `~`. A
    home that cannot be written stays, with what lies in its caches; new ones are written elsewhere or not at all."""
    try:
        if not os.access(Path.home(), os.W_OK):  # matplotlib tells of it, whether it draws or not
            os.environ.setdefault("MPLCONFIGDIR", _temporary_folder())
    except RuntimeError:
        os.environ["HOME"] = _temporary_folder()
        print(
            "warning: this user has no home: caches are kept for this command alone, unless HOME is set",
            file=sys.stderr,
        )


def _temporary_folder() -> str:
    """A folder that is deleted at the end of the process."""
    folder = TemporaryDirectory(prefix="rltf-home-")
    atexit.register(folder.cleanup)
    return folder.name


def _exit_on_signal(number: int, _: object) -> NoReturn:
    """Exits with the code that shells expect after SIGTERM of a scheduler or Ctrl-C; the summary is written on the
    way. (KeyboardInterrupt would not do: Lightning makes it exit code 1.)"""
    sys.exit(128 + number)


def fail(sentence: str, code: int = USER_MISTAKE) -> NoReturn:
    """Prints `error: sentence` and ends the process."""
    print(f"error: {sentence}", file=sys.stderr)
    sys.exit(code)
