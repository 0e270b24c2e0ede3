"""Lines of a program that hold code, and the token that ends each of them."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from rltf.rewards.spans import line_spans, tokens_of_lines
from rltf.types import Program, Span


@dataclass(frozen=True, slots=True)
class Step:
    """A line of code, the unit of process rewards."""

    line: int
    """Number of the line, 1-based."""
    tokens: Span
    """Tokens of the response with a character on the line; the model's output at the last one is the line's."""

    @property
    def end(self) -> int:
        """Tokens of the response up to the end of the line."""
        return self.tokens[1]


def program_steps(program: Program) -> list[Step]:
    """Lines of code of which at least one token was drawn, top down. Where two lines end within one token, the later
    one has it."""
    step_by_end: dict[int, Step] = {}
    for line in code_lines(program.text):
        tokens = tokens_of_lines(program.text, program.offsets, line, line)
        if tokens is not None:
            step_by_end[tokens[1]] = Step(line, tokens)
    return list(step_by_end.values())


def code_lines(text: str) -> list[int]:
    """Lines (1-based) that are neither blank nor a comment nor, in a program that parses, part of a statement that is
    only a string.

    >>> code_lines("# a\\nx = 1\\n\\ndef f():\\n    'says nothing'\\n    return x  # x\\n")
    [2, 4, 6]
    """
    lines = [text[start:end].strip() for start, end in line_spans(text)]
    nonblank = [number for number, line in enumerate(lines, start=1) if line and not line.startswith("#")]
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return nonblank
    strings = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    ]
    string_lines = {line for node in strings for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)}
    first_lines = {node.lineno for node in ast.walk(tree) if isinstance(node, ast.stmt) and node not in strings}
    return [line for line in nonblank if line not in string_lines or line in first_lines]
