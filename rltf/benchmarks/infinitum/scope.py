"""What the constructs of one item draw from: its parameters, fresh names, expressions and conditions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from random import Random

from rltf.benchmarks.infinitum.names import BOUNDS, CONSTANTS, FACTORS, VARIABLES
from rltf.benchmarks.mini.forms import FORMS, Apply, Expression, Literal, Type, Variable

FORM = {form.name: form for form in FORMS}
_MOST_OF_A_TYPE = 2
"""Parameters of one type."""
_STEPS = {"add": 3.0, "subtract": 3.0, "multiply": 2.0, "divide_k": 1.0, "modulo_k": 1.5}
"""Operation -> relative frequency in expressions."""


@dataclass
class Scope:
    """State of the draw of one item."""

    rng: Random
    depth: int
    """Operations of the largest expression."""
    parameters: list[Variable] = field(default_factory=list)
    previous: Variable | None = None
    """Result of the statement before, which the next one must use; None at the start."""
    names: set[str] = field(default_factory=set)
    """All names in use."""

    def copy(self) -> Scope:
        """A scope that goes on from this one, on the same generator."""
        return replace(self, parameters=list(self.parameters), names=set(self.names))

    def fresh(self, pool: Sequence[str]) -> str:
        """A name of the pool that nothing has yet."""
        name = self.rng.choice([name for name in pool if name not in self.names])
        self.names.add(name)
        return name

    def variable(self, type: Type) -> Variable:
        """A new variable for a result."""
        return Variable(self.fresh(VARIABLES[type]), type)

    def parameter(self, type: Type) -> Variable:
        """A parameter of the function, a new one or one that there is."""
        present = [p for p in self.parameters if p.type is type]
        if present and (len(present) == _MOST_OF_A_TYPE or self.rng.random() < 0.5):
            return self.rng.choice(present)
        parameter = self.variable(type)
        self.parameters.append(parameter)
        return parameter

    def source(self, type: Type) -> Variable:
        """What a statement goes through: the result before, where it has this type, else a parameter."""
        previous = self.previous
        return previous if previous is not None and previous.type is type else self.parameter(type)

    def number(self) -> Expression:
        """An operand: the result before, its length or its total; without one a parameter."""
        previous = self.previous
        if previous is None:
            return self.parameter(Type.INT)
        if previous.type is Type.INT:
            return previous
        if previous.type is Type.STR:
            return Apply(FORM["letters"], (previous,))
        return Apply(FORM[self.rng.choice(("sum", "length"))], (previous,))

    def carried(self, operand: Expression) -> tuple[Expression, ...]:
        """The result before as an operand that must occur, unless `operand` is that result; empty at the start."""
        return () if self.previous is None or operand == self.previous else (self.number(),)

    def expression(self, *operands: Expression, operations: int | None = None) -> Expression:
        """An expression in which every operand occurs.

        Args:
            *operands: at least one.
            operations: their number; None: drawn from 1 to the depth, and as many as the operands need at least.
        """
        rng = self.rng
        if operations is None:
            operations = rng.randint(1, self.depth)
        count = max(operations, len(operands) - 1)
        places = set(rng.sample(range(count), len(operands) - 1))
        further = list(operands[1:])
        value = operands[0]
        for place in range(count):
            value = self._combined(value, further.pop(0) if place in places else None)
        return value

    def condition(self, *operands: Expression) -> Expression:
        """A condition on the operands: one is compared with a number, two with each other."""
        rng, first = self.rng, operands[0]
        if len(operands) == 2:
            return Apply(FORM[rng.choice(("above", "below"))], operands)
        if rng.random() < 0.3:
            return Apply(FORM[rng.choice(("even", "odd"))], (first,))
        name = rng.choice(("above", "below", "at_least_k", "at_most_k"))
        return Apply(FORM[name], (first, Literal(rng.choice(BOUNDS))))

    def constant(self) -> int:
        """A number that is added, returned or stored."""
        return self.rng.choice(CONSTANTS)

    def factor(self) -> int:
        """A multiplier, divisor or modulus."""
        return self.rng.choice(FACTORS)

    def _combined(self, value: Expression, operand: Expression | None) -> Expression:
        rng = self.rng
        if operand is not None:
            name = rng.choice(("add", "subtract", "multiply"))
            return Apply(FORM[name], (value, operand) if rng.random() < 0.5 else (operand, value))
        [name] = rng.choices(list(_STEPS), list(_STEPS.values()))
        if name in ("divide_k", "modulo_k"):
            return Apply(FORM[name], (value, Literal(self.factor())))
        number = Literal(self.factor() if name == "multiply" else rng.randint(1, CONSTANTS[-1]))
        flipped = name == "subtract" and rng.random() < 0.3
        return Apply(FORM[name], (number, value) if flipped else (value, number))
