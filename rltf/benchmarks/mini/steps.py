"""The statements of `mini`, and the whole program: each renders to lines of Python and to a clause of English."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Literal as OneOf

from rltf.benchmarks.mini.forms import Apply, Expression, Type, Variable

Mode = OneOf["call", "stdio"]
"""A function `f` that returns, or a program that reads and prints."""

ENTRY = "f"
HELPER = "g"


@dataclass(frozen=True, slots=True)
class Let:
    """`t = value`."""

    variable: Variable
    value: Expression
    tag = "assignment"

    def code(self, mode: Mode) -> list[str]:
        """The step as lines of Python."""
        return [f"{self.variable.name} = {self.value.code()}"]

    def english(self, mode: Mode) -> str:
        """The step as a clause of English."""
        return f"let {self.variable.name} be {self.value.english()}"


@dataclass(frozen=True, slots=True)
class Collect:
    """A loop that adds to a number, or appends to a list, per item that satisfies a condition."""

    variable: Variable
    """The variable that grows: an INT from 0 or an INTS from empty."""
    item: Variable
    source: Expression
    """INTS, or an INT: the numbers below it."""
    condition: Expression | None
    value: Expression
    tag = "loop"

    def code(self, mode: Mode) -> list[str]:
        """The step as lines of Python."""
        name, value = self.variable.name, self.value.code()
        counts = isinstance(self.source, Variable) and self.source.type is Type.INT
        source = f"range({self.source.code()})" if counts else self.source.code()
        adds = self.variable.type is Type.INT
        body = [f"{name} += {value}" if adds else f"{name}.append({value})"]
        if self.condition is not None:
            body = [f"if {self.condition.code()}:", *indented(body)]
        return [f"{name} = {0 if adds else []}", f"for {self.item.name} in {source}:", *indented(body)]

    def english(self, mode: Mode) -> str:
        """The step as a clause of English."""
        counts = isinstance(self.source, Variable) and self.source.type is Type.INT
        where = f" where {self.condition.english()}" if self.condition is not None else ""
        loop = f"for each {self.item.name} {'below' if counts else 'in'} {self.source.english()}{where}"
        name, value = self.variable.name, self.value.english()
        if self.variable.type is Type.INT:
            return f"{name} starts at 0; {loop} {name} grows by {value}"
        return f"{name} starts empty; {loop} {name} gains {value}"


@dataclass(frozen=True, slots=True)
class Define:
    """A helper function of one number."""

    parameter: Variable
    value: Expression
    tag = "helper"

    def english(self, mode: Mode) -> str:
        """The step as a clause of English."""
        return f"define {HELPER}({self.parameter.name}) as {self.value.english()}"

    def code(self, mode: Mode) -> list[str]:
        """The step as lines of Python."""
        return [f"def {HELPER}({self.parameter.name}):", *indented([f"return {self.value.code()}"])]


@dataclass(frozen=True, slots=True)
class Answer:
    """Returns or prints the result."""

    value: Expression
    type: Type
    tag = "answer"

    def code(self, mode: Mode) -> list[str]:
        """The step as lines of Python; lists are printed as their items."""
        if mode == "call":
            return [f"return {self.value.code()}"]
        return [f"print({'*' if self.type is Type.INTS else ''}{self.value.code()})"]

    def english(self, mode: Mode) -> str:
        """The step as a clause of English."""
        return f"{'return' if mode == 'call' else 'print'} {self.value.english()}"


@dataclass(frozen=True, slots=True)
class Branch:
    """Returns or prints one of two results."""

    condition: Expression
    yes: Answer
    no: Answer
    tag = "conditional"

    def code(self, mode: Mode) -> list[str]:
        """The step as lines of Python."""
        no = self.no.code(mode)
        last = no if mode == "call" else ["else:", *indented(no)]
        return [f"if {self.condition.code()}:", *indented(self.yes.code(mode)), *last]

    def english(self, mode: Mode) -> str:
        """The step as a clause of English."""
        return f"if {self.condition.english()} {self.yes.english(mode)} else {self.no.english(mode)}"


Step = Let | Collect | Define | Answer | Branch


@dataclass(frozen=True, slots=True)
class Source:
    """A whole program."""

    parameters: tuple[Variable, ...]
    steps: tuple[Step, ...]
    """`Define`, if any, first; `Answer` or `Branch` last."""
    mode: Mode

    def code(self) -> str:
        """Python in the form `ast.unparse` gives, without blank lines."""
        helpers = [line for s in self.steps if isinstance(s, Define) for line in s.code(self.mode)]
        body = [line for s in self.steps if not isinstance(s, Define) for line in s.code(self.mode)]
        if self.mode == "call":
            names = ", ".join(p.name for p in self.parameters)
            lines = [*helpers, f"def {ENTRY}({names}):", *indented(body)]
        else:
            lines = [*helpers, *(f"{p.name} = {_READ[p.type]}" for p in self.parameters), *body]
        return tidy("\n".join(lines))

    def english(self) -> str:
        """The task in English."""
        names = ", ".join(p.name for p in self.parameters)
        head = f"{ENTRY}({names}):" if self.mode == "call" else f"read {names};"
        return f"{head} {'; '.join(s.english(self.mode) for s in self.steps)}"

    def tags(self) -> tuple[str, ...]:
        """The mode, and the language constructs inside, sorted."""
        tags = {e.form.tag for s in self.steps for e in operations(s)} | {s.tag for s in self.steps} - {"answer"}
        return (self.mode, *sorted(tags))


_READ = {
    Type.INT: "int(input())",
    Type.STR: "input()",
    Type.INTS: "list(map(int, input().split()))",
}


def indented(lines: list[str]) -> list[str]:
    """The lines, one level deeper."""
    return ["    " + line for line in lines]


def tidy(code: str) -> str:
    """The program as `ast.unparse` writes it (brackets only where needed), without blank lines."""
    return "\n".join(line for line in ast.unparse(ast.parse(code)).split("\n") if line)


def expressions(step: Step) -> Iterator[Expression]:
    """Every expression of a step, nested ones included."""
    for f in fields(step):
        value = getattr(step, f.name)
        if isinstance(value, Answer):
            yield from expressions(value)
        elif isinstance(value, Variable | Apply):
            yield from _inside(value)


def operations(step: Step) -> Iterator[Apply]:
    """Every operation of a step."""
    return (e for e in expressions(step) if isinstance(e, Apply))


def _inside(expression: Expression) -> Iterator[Expression]:
    yield expression
    if isinstance(expression, Apply):
        for a in expression.args:
            yield from _inside(a)
