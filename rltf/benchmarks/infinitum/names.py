"""Pools that names, constants and words of items are drawn from: wide, so that a fresh seed gives fresh items."""

from __future__ import annotations

from rltf.benchmarks.mini.forms import Type

FUNCTIONS = (
    *("adjust", "analyze", "assemble", "balance", "blend", "collect", "combine", "compute", "condense", "convert"),
    *("derive", "describe", "digest", "encode", "evaluate", "extract", "gather", "handle", "inspect", "measure"),
    *("merge", "process", "rank", "reduce", "refine", "render", "resolve", "review", "score", "select"),
    *("settle", "summarize", "track", "transform", "update", "verify"),
)
"""Names of the function to be written."""

VARIABLES: dict[Type, tuple[str, ...]] = {
    Type.INT: (
        *("amount", "base", "bonus", "cost", "count", "delta", "factor", "fee", "gain", "goal", "height", "level"),
        *("limit", "margin", "offset", "price", "rate", "result", "shift", "size", "speed", "step", "total", "weight"),
    ),
    Type.INTS: (
        *("ages", "costs", "data", "entries", "grades", "items", "lengths", "marks", "numbers", "points", "prices"),
        *("readings", "samples", "scores", "values", "weights"),
    ),
    Type.STR: ("caption", "code", "label", "line", "message", "name", "phrase", "text", "title", "word"),
}
"""Names of parameters and of results, by type."""

ELEMENTS = ("x", "y", "z", "e", "v", "w", "p", "q")
"""Names of the items of loops."""
CHARACTERS = ("c", "ch", "letter", "char")
COUNTERS = ("n", "m", "k", "left", "rest", "current")
"""Names of what a loop or a recursion makes smaller."""
HELPERS = (
    "apply",
    "change",
    "compare",
    "helper",
    "inner",
    "move",
    "part",
    "prepare",
    "scale",
    "single",
    "tweak",
    "unit",
)
TABLES = ("table", "lookup", "index", "known", "mapping", "seen", "counts", "registry")
WORDS = ("id", "no", "at", "of", "to", "is", "ok", "by", "in", "up")
"""Fixed parts of formatted strings."""
SEPARATORS = ("-", ":", "/", "_", "#", "=", "+", "*")
LETTERS = "abcdefg"

CONSTANTS = range(-99, 100)
"""Numbers that are added, returned or stored."""
BOUNDS = range(-30, 31)
"""Numbers that others are compared with: in the range of the inputs."""
FACTORS = range(2, 10)
"""Multipliers, divisors and moduli."""
