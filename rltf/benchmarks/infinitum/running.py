"""Runs the benchmark's own programs and their mutants in this process, within a number of steps: a mutant may loop
without end. Programs of policies never run here."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

Inputs = tuple[Any, ...]
"""One value per parameter: int, str or list of int."""

MOST_STEPS = 400
"""Rounds of loops and calls of functions, together, after which a run is given up."""
_STEP, _WATCH = "_step_", "_watch_"


@dataclass(frozen=True, eq=False, slots=True)
class Failure:
    """The result of a run that raised an error or did not end; it equals nothing."""

    ended: bool


class _Endless(BaseException):
    """No program catches it."""


def counted(tree: ast.Module) -> ast.Module:
    """The tree, in which every loop and function now counts its steps."""
    for node in ast.walk(tree):
        if isinstance(node, ast.For | ast.While | ast.FunctionDef):
            node.body.insert(0, ast.Expr(ast.Call(ast.Name(_STEP, ast.Load()), [], [])))
    return ast.fix_missing_locations(tree)


def is_step(node: ast.AST) -> bool:
    """True for what `counted` puts into a program."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and ast.unparse(node.value.func) == _STEP


class Program:
    """A function of a program, which ends.

    Args:
        tree: of the program, `counted`.
        name: of the function.
    """

    def __init__(self, tree: ast.Module, name: str) -> None:
        code = compile(tree, "<infinitum>", "exec")
        names: dict[str, Any] = {_STEP: self._step}
        exec(code, names)
        self._function: Callable[..., Any] = names[name]
        self._steps = 0

    def __call__(self, values: Inputs) -> Any:
        """The result of a call: a value or a `Failure`."""
        self._steps = 0
        try:
            return self._function(*(list(v) if isinstance(v, list) else v for v in values))
        except Exception:
            return Failure(ended=True)
        except _Endless:
            return Failure(ended=False)

    def _step(self) -> None:
        self._steps += 1
        if self._steps > MOST_STEPS:
            raise _Endless


def largest_number(code: str, name: str, inputs: Sequence[Inputs]) -> int:
    """The largest absolute number that an operation of a program gives.

    Args:
        code: the program; it ends for these inputs.
        name: of its function.
        inputs: arguments of each call.

    >>> largest_number("def f(a):\\n    t = a * a * -9 % 7\\n    return t", "f", [(2,), (5,)])
    225
    """
    numbers = [0]

    def watch(value: Any) -> Any:
        if isinstance(value, int):
            numbers.append(abs(value))
        return value

    tree = ast.fix_missing_locations(_Watched().visit(ast.parse(code)))
    names: dict[str, Any] = {_WATCH: watch}
    exec(compile(tree, "<infinitum>", "exec"), names)
    for values in inputs:
        names[name](*values)
    return max(numbers)


class _Watched(ast.NodeTransformer):
    """Hands the result of every operation to `_WATCH`."""

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        """The operation inside a call."""
        sides = [self.visit(side) for side in (node.left, node.right)]
        return ast.Call(ast.Name(_WATCH, ast.Load()), [ast.BinOp(sides[0], node.op, sides[1])], [])

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.stmt:
        """An assignment of the operation."""
        assert isinstance(node.target, ast.Name)
        grown = ast.BinOp(ast.Name(node.target.id, ast.Load()), node.op, node.value)
        return ast.Assign([node.target], self.visit(grown))
