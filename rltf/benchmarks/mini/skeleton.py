"""The structure of a program, and the split it belongs to.

Constants and names are abstracted, the mode (function or stdin/stdout) is left out: programs that differ in nothing
else share a skeleton, and a skeleton lies in one split only, whatever the seed.
"""

from __future__ import annotations

import hashlib
import re
from functools import cache

from rltf.benchmarks.mini.forms import Expression, Literal, Variable
from rltf.benchmarks.mini.long import LongSource
from rltf.benchmarks.mini.steps import Answer, Branch, Collect, Define, Let, Source, Step
from rltf.types import Split

_VALIDATION, _TEST = 0.1, 0.25
"""Shares of the skeletons; all others are for training."""
_CONSTANT = re.compile(r"(?<!\{)\b\d+\b")


def skeleton(source: Source) -> str:
    """Structure of a program, e.g. `answer((v0 + #))`."""
    names: dict[str, str] = {}
    return ";".join(_step(s, names) for s in source.steps)


def long_skeleton(source: LongSource) -> str:
    """Structures of the parts of a long program, one after the other."""
    return "|".join(map(skeleton, source.parts))


def split_of(structure: str) -> Split:
    """The split a skeleton belongs to, by a stable hash."""
    place = int.from_bytes(hashlib.blake2b(structure.encode(), digest_size=8).digest(), "big") / 2**64
    if place < _VALIDATION:
        return "validation"
    return "test" if place < _VALIDATION + _TEST else "train"


@cache
def _without_constants(code: str) -> str:
    """The Python of an operation with `#` for each constant."""
    return _CONSTANT.sub("#", code)


def _step(step: Step, names: dict[str, str]) -> str:
    def walk(e: Expression) -> str:
        if isinstance(e, Literal):
            return "#" if isinstance(e.value, int) else "'#'"
        if isinstance(e, Variable):
            return names.setdefault(e.name, f"v{len(names)}")
        return f"({_without_constants(e.form.code).format(*map(walk, e.args))})"

    match step:
        case Let():
            return f"let({walk(step.value)},{walk(step.variable)})"
        case Define():
            return f"define({walk(step.value)})"
        case Collect():
            condition = walk(step.condition) if step.condition is not None else ""
            kinds = f"{step.variable.type},{walk(step.source)}"
            return f"collect({kinds},{walk(step.item)},{condition},{walk(step.value)},{walk(step.variable)})"
        case Branch():
            return f"branch({walk(step.condition)},{walk(step.yes.value)},{walk(step.no.value)})"
        case Answer():
            return f"answer({walk(step.value)})"
