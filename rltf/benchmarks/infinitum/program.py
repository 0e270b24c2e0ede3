"""A whole item: its Python, its English in several wordings, and its structure."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from rltf.benchmarks.infinitum.constructs import CONSTRUCTS, Statement
from rltf.benchmarks.infinitum.english import VARIANTS
from rltf.benchmarks.infinitum.names import FUNCTIONS
from rltf.benchmarks.infinitum.scope import Scope
from rltf.benchmarks.mini.forms import Variable
from rltf.benchmarks.mini.steps import indented, tidy

_HEADS = ("Write a {1}function {0}.", "Define the {1}function {0} as follows.", "Implement a {1}function {0}.")
_KINDS = {"python": "", "javascript": "JavaScript "}
"""Language -> how the head of a task names it."""
_ENDS = ("Return {0}.", "The result is {0}.", "Give back {0}.")


@dataclass(frozen=True, slots=True)
class Source:
    """A function that computes one result after the other."""

    name: str
    parameters: tuple[Variable, ...]
    statements: tuple[Statement, ...]
    """In order; each but the distractors uses the result of the one before, and the last gives the function's."""
    distractors: frozenset[int]
    """Indices of the statements whose result nothing uses."""
    depth: int
    """Largest number of operations of an expression that a construct was drawn with."""

    @property
    def constructs(self) -> tuple[str, ...]:
        """Names of the constructs of all statements but the distractors, sorted."""
        return tuple(sorted({s.construct for i, s in enumerate(self.statements) if i not in self.distractors}))

    @property
    def size(self) -> int:
        """Number of statements without the distractors."""
        return len(self.statements) - len(self.distractors)

    def code(self) -> str:
        """Python in the form `ast.unparse` gives, without blank lines; helpers are inside the function."""
        body = [line for s in self.statements for line in s.code]
        head = f"def {self.name}({', '.join(p.name for p in self.parameters)}):"
        return tidy("\n".join([head, *indented([*body, f"return {self.statements[-1].result.name}"])]))

    def english(self, variants: Sequence[int], language: str = "python") -> str:
        """The task in English.

        Args:
            variants: phrasing of the head, of each statement, and of the end.
            language: of the function that is asked for.
        """
        head, *inner, end = variants
        signature = f"{self.name}({', '.join(p.name for p in self.parameters)})"
        clauses = [s.clauses[v] for s, v in zip(self.statements, inner, strict=True)]
        opening = _HEADS[head].format(signature, _KINDS[language])
        return " ".join([opening, *clauses, _ENDS[end].format(self.statements[-1].result.name)])

    def wordings(self, rng: Random, count: int, language: str = "python") -> list[str]:
        """`count` texts of the task, at most `VARIANTS`, no clause of which is phrased twice alike."""
        first = [rng.randrange(VARIANTS) for _ in range(len(self.statements) + 2)]
        return [self.english([(v + i) % VARIANTS for v in first], language) for i in range(count)]

    def distractor_lines(self) -> frozenset[int]:
        """Lines of the code (1-based) that belong to distractors; each is an assignment of one line."""
        lines, place = set(), 2
        for i, s in enumerate(self.statements):
            length = tidy("\n".join(s.code)).count("\n") + 1
            if i in self.distractors:
                lines |= set(range(place, place + length))
            place += length
        return frozenset(lines)


@dataclass(frozen=True)
class Draft:
    """A function that statements are added to."""

    scope: Scope
    name: str
    statements: tuple[Statement, ...] = ()
    distractors: frozenset[int] = frozenset()

    @classmethod
    def begin(cls, rng: Random, depth: int) -> Draft:
        """A function without statements, whose expressions have at most `depth` operations."""
        scope = Scope(rng, depth)
        return cls(scope, scope.fresh(FUNCTIONS))

    def extended(self, construct: str, distractors: int) -> Draft | None:
        """The draft with a further statement; None where this draw led to none. This draft stays as it is.

        Args:
            construct: of the statement.
            distractors: assignments before it whose result nothing uses.
        """
        scope = self.scope.copy()
        try:
            statement = CONSTRUCTS[construct](scope)
            spare = tuple(CONSTRUCTS["arithmetic"](scope) for _ in range(distractors))
        except IndexError:  # a pool of names is used up
            return None
        scope.previous = statement.result
        place = len(self.statements)
        unused = self.distractors | set(range(place, place + distractors))
        return Draft(scope, self.name, (*self.statements, *spare, statement), unused)

    def source(self) -> Source:
        """The function as it stands."""
        return Source(self.name, tuple(self.scope.parameters), self.statements, self.distractors, self.scope.depth)


def canonical(code: str, constants: bool) -> str:
    """The program's syntax tree with names in the order of their first use.

    Args:
        code: the program.
        constants: True: with its constants, so that two programs that differ in names alone are equal; False: without,
            which is the structure that splits are made of.
    """
    tree = ast.parse(code)
    bound_names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    bound_names |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    bound_names |= {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    names: dict[str, str] = {}

    def renamed(name: str) -> str:
        return names.setdefault(name, f"v{len(names)}") if name in bound_names else name

    for node in ast.walk(tree):
        match node:
            case ast.Name():
                node.id = renamed(node.id)
            case ast.arg():
                node.arg = renamed(node.arg)
            case ast.FunctionDef():
                node.name = renamed(node.name)
            case ast.Constant() if not constants:
                node.value = type(node.value).__name__
    return ast.dump(tree)
