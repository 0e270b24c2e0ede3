"""Prints the exact version of every package that `make install` brings, of the environment that runs it:
`.venv/bin/python .ci/lock.py > constraints-lock.txt`. constraints.txt has the direct ones, chosen by hand."""

from __future__ import annotations

import platform
import sys
import tomllib
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

EXTRAS = ("dev", "docs", "lora", "sweeps", "ray", "serve")
"""Of `make install`."""


def direct() -> list[str]:
    """What pyproject.toml asks for, with the extras of `make install`."""
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lists = [project["dependencies"], *(project["optional-dependencies"][extra] for extra in EXTRAS)]
    return [line for lines in lists for line in lines]


def closure(lines: Sequence[str]) -> dict[str, str]:
    """Package -> installed version, of everything that these requirements need.

    Raises:
        PackageNotFoundError: something that is needed is not installed.
    """
    versions: dict[str, str] = {}
    waiting, seen = [(line, "") for line in lines], set()
    while waiting:
        line, extra = waiting.pop()
        needed = Requirement(line)
        if (line, extra) in seen or (needed.marker is not None and not needed.marker.evaluate({"extra": extra})):
            continue
        seen.add((line, extra))
        versions[canonicalize_name(needed.name)] = version(needed.name).partition("+")[0]  # the build is the host's
        waiting += [(further, e) for further in requires(needed.name) or () for e in ("", *needed.extras)]
    return versions


if __name__ == "__main__":
    try:
        packages = closure(direct())
    except PackageNotFoundError as error:
        sys.exit(f"{error}: run make install first")
    print(f"# Everything that make install brings, by .ci/lock.py on Python {platform.python_version()}.")
    print("# Exactly these: make install CONSTRAINTS=constraints-lock.txt")
    for name, number in sorted(packages.items()):
        print(f"{name}=={number}")
