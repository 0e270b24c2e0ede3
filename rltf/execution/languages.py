"""Languages of programs: which tests each can be judged by, and what runs it in the sandbox.

A runtime is what the processes of a sandbox find beyond Python's standard library; each has a zygote of its own, which
has it loaded.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from rltf.types import Job
from rltf.validation import OptionError, require


@dataclass(frozen=True)
class Runtime:
    """What a zygote has for its programs."""

    module: str | None = None
    """Module that it loads."""
    compiler: str | None = None
    """Name of the compiler, which is run there, as are the programs that it makes."""


RUNTIMES: Mapping[str, Runtime] = {
    "numpy": Runtime(module="numpy"),
    "javascript": Runtime(module="_quickjs"),
    "cpp": Runtime(compiler="g++"),
}


@dataclass(frozen=True)
class Language:
    """What programs of a language can be judged by."""

    tests: frozenset[str]
    """Kinds of tests (`rltf.types.Test`)."""
    runtime: str | None = None
    """What runs it (`RUNTIMES`); None: Python itself."""
    missing: str = ""
    """What to do where that is not there."""


LANGUAGES: Mapping[str, Language] = {
    "python": Language(frozenset({"assert", "call", "check", "stdio", "text"})),
    "javascript": Language(frozenset({"call", "stdio", "text"}), "javascript", "pip install quickjs-ng"),
    "cpp": Language(frozenset({"stdio", "text"}), "cpp", "install g++"),
}


@lru_cache(maxsize=1)
def installed_runtimes() -> dict[str, str]:
    """Runtime -> folder that holds its module, or path of its compiler, for those that are installed here."""
    paths: dict[str, str] = {}
    for name, runtime in RUNTIMES.items():
        if runtime.compiler is not None:
            compiler = shutil.which(runtime.compiler)
            paths |= {name: os.path.realpath(compiler)} if compiler else {}
            continue
        spec = None if runtime.module is None else importlib.util.find_spec(runtime.module)
        if spec is not None and spec.origin:
            origin = Path(spec.origin)
            paths[name] = str(origin.parents[1] if spec.submodule_search_locations else origin.parent)
    return paths


def require_language(job: Job) -> None:
    """Checks that programs of a job's language can be judged here, and by its tests.

    Raises:
        OptionError: There is no such language, it is not installed, or it has no such tests.

    >>> from rltf.types import StdioTest
    >>> require_language(Job("", (StdioTest("", ""),), language="basic"))
    Traceback (most recent call last):
    rltf.validation.OptionError: language is 'basic': expected python, javascript or cpp
    """
    if job.language == "python":
        return
    require("language", job.language, choices=LANGUAGES)
    language = LANGUAGES[job.language]
    if language.runtime not in installed_runtimes():
        raise OptionError("language", job.language, f"another one, or {language.missing}")
    for test in job.tests:
        if test.kind not in language.tests:
            kinds = " or ".join(sorted(language.tests))
            raise OptionError("tests", test.kind, f"kind {kinds} for programs in {job.language}")
        if test.kind == "call" and not all(map(_is_json, (*test.args, test.expected))):
            raise OptionError("tests", test.function, f"values that JSON has for programs in {job.language}")


def _is_json(value: Any) -> bool:
    """True for a value that JSON has, or a number that is not finite."""
    if isinstance(value, list):
        return all(map(_is_json, value))
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_json(item) for key, item in value.items())
    return value is None or isinstance(value, bool | int | float | str)
