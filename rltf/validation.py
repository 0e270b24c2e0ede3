"""Checks of options: one sentence for a value that makes no sense, with the key, the value and what was expected.

A constructor knows its own keywords and not where a config holds it. It names the keyword alone, and
`rltf.setup.instantiate` puts the config's path in front: `algorithm.mix.rl.objective.eps_low is -1: expected ...`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable
from difflib import SequenceMatcher
from importlib import import_module
from importlib.metadata import PackageNotFoundError, requires
from typing import Any, Self


class OptionError(ValueError):
    """An option that makes no sense.

    Args:
        key: the constructor's keyword, or a dotted path below it.
        value: what was given.
        expected: what would make sense, e.g. `a number above 0`; may say what to do instead.

    Example:
        >>> print(OptionError("eps_low", -1, "a number above 0").below("algorithm.mix.rl.objective"))
        algorithm.mix.rl.objective.eps_low is -1: expected a number above 0
    """

    def __init__(self, key: str, value: Any, expected: str) -> None:
        super().__init__(f"{key} is {value!r}: expected {expected}")
        self.key, self.value, self.expected = key, value, expected

    def below(self, path: str) -> Self:
        """The same mistake, of an object that the config has at `path`."""
        return type(self)(f"{path}.{self.key}", self.value, self.expected)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.key, self.value, self.expected)


def require(
    key: str,
    value: Any,
    *,
    at_least: float | None = None,
    above: float | None = None,
    at_most: float | None = None,
    below: float | None = None,
    whole: bool = False,
    optional: bool = False,
    choices: Collection[Any] | None = None,
) -> None:
    """Checks a number, or one of several choices. Infinity and NaN are no numbers.

    Args:
        key: the constructor's keyword.
        value: what was given.
        at_least: smallest number that makes sense.
        above: all numbers that make sense are larger.
        at_most: largest number that makes sense.
        below: all numbers that make sense are smaller.
        whole: only whole numbers make sense.
        optional: None makes sense, too.
        choices: the values that make sense; then nothing else is checked.

    Raises:
        OptionError: the value makes no sense.

    Example:
        >>> require("temperature", 0.0, above=0)
        Traceback (most recent call last):
        rltf.validation.OptionError: temperature is 0.0: expected a number above 0
        >>> require("lag", 2, choices=(0, 1))
        Traceback (most recent call last):
        rltf.validation.OptionError: lag is 2: expected 0 or 1
    """
    if optional and value is None:
        return
    if choices is not None:
        if value not in choices or (isinstance(value, bool) and not any(choice is value for choice in choices)):
            names = [str(choice).lower() if isinstance(choice, bool) else str(choice) for choice in choices]
            names += ["null"] * optional
            raise OptionError(key, value, " or ".join([", ".join(names[:-1]), names[-1]] if names[:-1] else names))
        return
    kinds = int if whole else (int, float)
    number = (
        not isinstance(value, bool) and isinstance(value, kinds) and (isinstance(value, int) or math.isfinite(value))
    )
    if (
        not number
        or (at_least is not None and value < at_least)
        or (above is not None and value <= above)
        or (at_most is not None and value > at_most)
        or (below is not None and value >= below)
    ):
        raise OptionError(key, value, _expectation(at_least, above, at_most, below, whole, optional))


def _expectation(
    at_least: float | None, above: float | None, at_most: float | None, below: float | None, whole: bool, optional: bool
) -> str:
    limits = {"at least": at_least, "above": above, "at most": at_most, "below": below}
    bounds = " and ".join(f"{words} {limit}" for words, limit in limits.items() if limit is not None)
    kind = "a whole number" if whole else "a number" if bounds else "a finite number"
    joint = " of " if bounds.startswith("at") else " " if bounds else ""
    return f"{'null or ' if optional else ''}{kind}{joint}{bounds}"


def nearest(name: str, names: Iterable[str], count: int = 3) -> list[str]:
    """The names that may have been meant, the nearest first. Dotted ones are near by their last part, too.

    Example:
        >>> nearest("sampels", ["rollouts.samples", "rollouts.problems", "seed"])
        ['rollouts.samples']
    """

    def likeness(candidate: str) -> float:
        (parent, _, last), (candidate_parent, _, candidate_last) = name.rpartition("."), candidate.rpartition(".")
        by_last_part = SequenceMatcher(None, last, candidate_last).ratio()
        if parent == candidate_parent:
            return by_last_part
        return max(SequenceMatcher(None, name, candidate).ratio(), 0.8 * by_last_part)

    likenesses = {candidate: likeness(candidate) for candidate in names}
    best = sorted(likenesses, key=lambda candidate: (-likenesses[candidate], candidate))[:count]
    return [candidate for candidate in best if likenesses[candidate] >= max(0.6, likenesses[best[0]] - 0.05)]


def unknown_key(key: str, known: Collection[str]) -> ValueError:
    """The mistake of a key that nothing reads, with the nearest of those that are read, else all of them.

    Example:
        >>> print(unknown_key("warmup.step", ["warmup.steps", "warmup.lr"]))
        warmup.step is not known: did you mean warmup.steps?
    """
    similar_keys = nearest(key, [name for name in known if not key.startswith(f"{name}.")])  # its nodes were found
    siblings = [name for name in known if name.rpartition(".")[0] == key.rpartition(".")[0]]
    names = sorted(siblings or [name for name in known if "." not in name] or known)
    hint = f"did you mean {' or '.join(similar_keys)}?" if similar_keys else f"known are {', '.join(names)}"
    return ValueError(f"{key} is not known: {hint if known else 'nothing is expected here'}")


def sentence_of(error: BaseException) -> str:
    """An error's text in one line, or the name of its type where it has none.

    Example:
        >>> sentence_of(ValueError("a\\n  b")), sentence_of(KeyError())
        ('a b', 'KeyError')
    """
    return " ".join(str(error).split()) or type(error).__name__


def import_extra(package: str, option: str, extra: str | None = None) -> Any:
    """An optional package, which an option of the config needs.

    Args:
        package: its name.
        option: what asks for it, e.g. `executor=ray`.
        extra: of `rltf`, which lists it; None: the package's name.

    Raises:
        ValueError: it is not installed.
    """
    try:
        return import_module(package)
    except ImportError as error:
        raise missing_package(package, option, extra) from error


def missing_package(package: str, option: str, extra: str | None = None) -> ValueError:
    """The mistake of an option whose optional package is not installed; arguments as those of `import_extra`."""
    return ValueError(
        f"{option} needs the package {package}: install it with `pip install '{requirement(package, extra)}'`"
    )


def requirement(package: str, extra: str | None = None) -> str:
    """What pip installs for an optional package, with the oldest version that is known to do.

    Args:
        package: its name, as it is imported.
        extra: of `rltf`, which lists it; None: the package's name.

    Example:
        >>> requirement("wandb_workspaces", "wandb-report").startswith("wandb-workspaces")
        True
    """
    name = package.replace("_", "-")
    try:
        lines = requires("rltf") or []
    except PackageNotFoundError:
        lines = []
    for line in lines:
        versions, _, condition = line.partition(";")
        if re.match(rf"{re.escape(name)}\b", versions) and repr(extra or package) in condition.replace('"', "'"):
            return versions.strip()
    return name
