"""The language constructs of `infinitum`, one function each: it draws a statement with its Python and its English.

To add a construct: one function, one line in `CONSTRUCTS`, and its sentences in the grammar of the tests.
"""

from __future__ import annotations

from rltf.benchmarks.infinitum.constructs import control, data, functions, text
from rltf.benchmarks.infinitum.constructs.base import Construct, Statement

__all__ = ["CONSTRUCTS", "Construct", "Statement"]

CONSTRUCTS: dict[str, Construct] = {
    "arithmetic": data.arithmetic,
    "conditional": control.conditional,
    "nested_conditional": control.nested_conditional,
    "loop": control.loop,
    "nested_loop": control.nested_loop,
    "while_loop": control.while_loop,
    "early_exit": control.early_exit,
    "comprehension": data.comprehension,
    "unpacking": data.unpacking,
    "counting": data.counting,
    "lookup": data.lookup,
    "set_algebra": data.set_algebra,
    "string_building": text.string_building,
    "formatting": text.formatting,
    "helper": functions.helper,
    "recursion": functions.recursion,
    "exception": functions.exception,
}
