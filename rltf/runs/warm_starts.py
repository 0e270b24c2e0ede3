"""Where a run takes the policy that its supervised warm-up would make: a cache, another run, or the file that ships."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rltf.runs.checkpoint_file import checkpoint_path, is_whole

_POLICIES = Path(__file__).parents[1] / "policies"
SHIPPED = _POLICIES / "tiny_t5_start.ckpt"
"""The start of the default run, which ships: weights in half precision; the `.json` beside it is its card."""
NAMED = {"mini_long": _POLICIES / "tiny_t5_long_start.ckpt"}
"""Other starts that ship, by the `warmup.from` that takes them whatever the settings are."""
KINDS = ("scratch", "cache", "shipped", *NAMED)
"""Values of `warmup.from` that are no folder."""
START = "start"
"""Name of the checkpoint of a run that took its start from elsewhere."""


@dataclass(frozen=True)
class WarmStart:
    """A policy that is trained already."""

    path: Path
    origin: str
    """Where it is from, in a few words."""


def warmup_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a resolved config that decides the policy after the warm-up, but for `seed`."""
    omitted = ("from", "save_every")
    optimizer = config.get("optimizer") or {}
    return {
        "model": {key: value for key, value in config["model"].items() if key != "seed"},
        "benchmark": config["benchmark"],
        "warmup": {key: value for key, value in config["warmup"].items() if key not in omitted},
        "optimizer": {key: value for key, value in optimizer.items() if key != "lr"},
        "max_new_tokens": config["generation"]["sampling"].get("max_new_tokens"),
        "trainer": {key: config["trainer"].get(key) for key in ("precision", "gradient_clip_val")},
    }


def check_origin(value: str) -> None:
    """Finds a `warmup.from` that names nothing. A checkpoint is not read here, it may be large.

    Raises:
        ValueError: it is neither one of `KINDS` nor the folder of a run with a warm-up.
    """
    if value not in KINDS and not any(path.exists() for path in _start_paths(Path(value).expanduser())):
        choices = f"{', '.join(KINDS)}, or the folder of a run that had a warm-up"
        raise ValueError(f"warmup.from is {value!r}: expected {choices}")


def start_of_run(folder: Path) -> Path | None:
    """The checkpoint of the policy that a run's RL began with; None where there is none, or a damaged one."""
    return next((path for path in _start_paths(folder) if path.exists() and is_whole(path)), None)


def _start_paths(folder: Path) -> list[Path]:
    return [checkpoint_path(folder, name) for name in (START, "warmup")]


def differences_from_shipped(settings: Mapping[str, Any]) -> list[str]:
    """Keys in which these settings differ from those of the start that ships; empty where it fits."""
    made_with = json.loads(SHIPPED.with_suffix(".json").read_text(encoding="utf-8"))["settings"]
    return [
        f"{node}.{key}" if isinstance(made_with[node], dict) else node
        for node in made_with
        for key in _differing_keys(made_with[node], settings[node])
    ]


def _differing_keys(made_with: Any, value: Any) -> list[str]:
    if not isinstance(made_with, dict) or not isinstance(value, dict):
        return [] if made_with == value else [""]
    return [key for key in sorted({*made_with, *value}) if made_with.get(key) != value.get(key)]


class Cache:
    """Starts by what made them: settings, seed, versions of the packages that decide numbers, and our own source.

    Args:
        folder: of all starts.
        settings: `warmup_settings` of the run.
        seed: of the run.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any], seed: int) -> None:
        from rltf.runs.summary import versions  # which imports torch

        self._identity = {"settings": settings, "seed": seed, "versions": versions(), "source": _source_digest()}
        text = json.dumps(self._identity, sort_keys=True, default=str)
        self._entry = folder / hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def path(self) -> Path:
        """The checkpoint, whether it exists or not."""
        return self._entry / f"{START}.ckpt"

    def find(self) -> WarmStart | None:
        """The start, if it was made before."""
        return WarmStart(self.path, f"the cache ({self._entry.name})") if is_whole(self.path) else None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """A block in which no other process makes this start; waits until another one has."""
        self._entry.mkdir(parents=True, exist_ok=True)
        with (self._entry / "lock").open("a") as file:
            with suppress(OSError):  # some network file systems have no locks: both make it, and one file stays
                fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def describe(self) -> None:
        """Writes beside the checkpoint what made it."""
        text = json.dumps(self._identity, indent=1, sort_keys=True, default=str)
        (self._entry / f"{START}.json").write_text(text + "\n", encoding="utf-8")


def keep_in_run(start: WarmStart, folder: Path) -> Path:
    """The start's checkpoint in the run folder that takes it: a resumed run needs neither cache nor other run."""
    target = checkpoint_path(folder, START)
    if target.exists() and target.samefile(start.path):
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    new_file = target.with_suffix(".new")
    new_file.unlink(missing_ok=True)
    try:
        os.link(start.path, new_file)
    except OSError:  # another file system
        shutil.copyfile(start.path, new_file)
    os.replace(new_file, target)
    return target


def _source_digest() -> str:
    """A digest of the package's Python files: a start of other code is another start."""
    digest = hashlib.sha256()
    package = Path(__file__).parents[1]
    for path in sorted(package.rglob("*.py")):
        digest.update(str(path.relative_to(package)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()
