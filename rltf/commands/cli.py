"""The command line: Hydra composes, a function of this room works, and a mistake ends in one sentence and exit code 2.

Nothing heavy is imported here, so `--help`, `--cfg job` and a mistyped key answer at once.
"""

from __future__ import annotations

import difflib
import math
import os
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from rltf.runs.folder import Stopped, first_process

USER_MISTAKE = 2
"""Exit code."""
SIGNALLED = (128 + signal.SIGTERM, 128 + signal.SIGINT)
"""Exit codes of a run that was told to end."""
NEVER_INHERITED_KEYS = ("trusted", "trust_remote_code")
"""Keys that a resumed run takes from its own command line alone."""


def config_dir() -> Path:
    """Folder of the yaml files: beside the package in a checkout, inside it when installed as a wheel."""
    package = Path(__file__).parents[1]
    inside = package / "configs"
    return inside if inside.is_dir() else package.parent / "configs"


def command(name: str) -> None:
    """Runs the command `train` or `eval` with the process's arguments; exits the process on mistakes."""
    import hydra
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    # Idle OpenMP threads must sleep, not spin, beside the sandbox's processes: spinning costs a factor of eight on two
    # cores. Read once, when torch is loaded; so is the rule that tokenizers must not fork warnings out of us.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    wants_traceback = os.environ.get("HYDRA_FULL_ERROR") == "1"
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra hands errors on, so that we choose what is printed

    started: list[bool] = []

    def job(cfg: DictConfig) -> float | None:
        started.append(True)
        from rltf.commands import job, sweep
        from rltf.commands.evaluate import evaluate
        from rltf.commands.train import train

        in_sweep = name == "train" and HydraConfig.get().mode == RunMode.MULTIRUN
        try:
            score = sweep.skip_if_finished(cfg) if in_sweep else None
            if score is None and job.is_job(cfg):
                job.run(cfg)
                return None
            return {"train": train, "eval": evaluate}[name](cfg).score if score is None else score
        except Exception as error:
            if in_sweep:
                sweep.record_failure(cfg, error)
                return math.nan  # the other jobs go on
            if wants_traceback or not isinstance(error, ValueError | Stopped):
                raise
            fail(explain(error), USER_MISTAKE if isinstance(error, ValueError) else 1)
        except SystemExit as ended:
            if name == "train" and ended.code in SIGNALLED and first_process():
                again = (
                    f"hydra.sweep.dir={HydraConfig.get().sweep.dir}" if in_sweep else f"resume={cfg.paths.output_dir}"
                )
                command = "the same command with" if in_sweep else "python train.py"
                print(f"interrupted: {command} {again} goes on from the last checkpoint", file=sys.stderr)
            raise

    sys.argv[1:] = {"train": train_overrides, "eval": policy_overrides}[name](sys.argv[1:])
    run: Callable[[], None] = hydra.main(version_base="1.3", config_path=str(config_dir()), config_name=name)(job)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _ended)
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


def _ended(number: int, _: object) -> NoReturn:
    """SIGTERM of a scheduler whose time is up, or Ctrl-C: the run says so in its summary and ends as shells expect it.
    (KeyboardInterrupt would not do: Lightning makes it exit code 1.)"""
    sys.exit(128 + number)


def train_overrides(arguments: list[str]) -> list[str]:
    """`resume=RUN_DIR` stands for the overrides that started that run, and its folder; further ones follow them.
    A model without a recipe gets `recipe=default`."""
    model = _value(arguments, "model")
    recipes, models = config_dir() / "recipe", config_dir() / "model"
    lacks_recipe = model and (models / f"{model}.yaml").is_file() and not (recipes / f"{model}.yaml").is_file()
    if lacks_recipe and _value(arguments, "recipe") is None:
        arguments = ["recipe=default", *arguments]
    folder = _value(arguments, "resume")
    if folder is None or folder == "null":
        return arguments
    return [*recorded_overrides(Path(folder), arguments), *arguments, f"hydra.run.dir='{folder}'"]


def recorded_overrides(folder: Path, arguments: list[str]) -> list[str]:
    """The overrides that started a run. They are data, the folder may be somebody else's: what lets code outside of
    rltf run (`NEVER_INHERITED_KEYS`, options of Hydra itself) is not taken from there."""
    recorded = folder / ".hydra" / "overrides.yaml"
    if not recorded.is_file():
        fail(f"resume={folder} is no run folder: expected one that holds .hydra/overrides.yaml")
    try:
        found = OmegaConf.to_container(OmegaConf.load(recorded)) or []
    except (YAMLError, OmegaConfBaseException, UnicodeDecodeError, OSError):
        found = None
    if not isinstance(found, list):
        fail(f"resume: {recorded} is no list of overrides")
    before = [str(override) for override in found if not str(override).startswith("resume=")]
    for override in before:
        if not re.match(r"[+~]{0,2}(?!hydra\b)[A-Za-z_]", override):
            fail(f"resume: {recorded} has {override!r}, which starts no run of rltf")
        for key in NEVER_INHERITED_KEYS:
            if key in override and not any(key in argument for argument in arguments):
                fail(
                    f"resume: that run was started with {override}, which lets code run that is not rltf's: "
                    "give it again to go on"
                )
    return before


def policy_overrides(arguments: list[str]) -> list[str]:
    """`policy=` names a folder (or a run folder, whose `policy/` is meant), a model of `configs/model`, or a hub id."""
    policy = _value(arguments, "policy")
    if policy is None:
        return arguments
    if (config_dir() / "model" / f"{policy}.yaml").is_file():
        return [*arguments, f"model={policy}"]
    folder = Path(policy)
    folder = folder / "policy" if (folder / "policy").is_dir() else folder
    if folder.is_dir():
        return [*arguments, f"model.path='{folder}'"]
    return arguments


def _value(arguments: list[str], key: str) -> str | None:
    """The last value given to `key`, without quotes."""
    given = [a.partition("=")[2] for a in arguments if a.startswith(f"{key}=")]
    return given[-1].strip("\"'") if given else None


def explain(error: Exception) -> str:
    """One sentence for a mistake; unknown names come with the nearest known ones."""
    if isinstance(error, MissingConfigException) and error.missing_cfg_file and error.options is not None:
        group, _, choice = error.missing_cfg_file.rpartition("/")
        options = sorted(o for o in error.options if not o.startswith("_"))
        near = difflib.get_close_matches(choice, options, n=3, cutoff=0.4)
        hint = f"did you mean {' or '.join(near)}?" if near else f"known are {', '.join(options)}"
        return f"{group}={choice} is not known: {hint}"
    if isinstance(error, OverrideParseException):
        return f"{error.override} on the command line does not parse: expected key=value, with quotes round odd values"
    text = " ".join(str(error).split())
    return re.sub(r" ?set the environment variable HYDRA_FULL_ERROR=1.*", "", text, flags=re.IGNORECASE)


def fail(sentence: str, code: int = USER_MISTAKE) -> NoReturn:
    """Prints `error: sentence` and ends the process."""
    print(f"error: {sentence}", file=sys.stderr)
    sys.exit(code)
