"""Inputs for functions: small values of given types.

Ordinary values (numbers above zero, containers that hold something) make most inputs, so that these lie where a
function is defined; edge values (0, -1, an empty list) stand apart. Constants of the function's body are values, too.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from rltf.mining.value_types import ValueType

LONGEST_LIST, LONGEST_TEXT = 6, 10
_RANGES = (6, 20, 200)
"""Largest numbers, each as often as the others."""
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_MOST_CONSTANTS = 12
_DRAWS = 20
"""Draws for each input that is wanted, after which there are no others."""


@dataclass(frozen=True, slots=True)
class Constants:
    """Constants of a function's body."""

    integers: tuple[int, ...] = ()
    """With their neighbours, between -1,000 and 1,000."""
    texts: tuple[str, ...] = ()
    characters: str = ""
    """Of all texts."""

    @classmethod
    def of(cls, node: ast.FunctionDef) -> Constants:
        """The constants of a function, without its docstring.

        >>> Constants.of(ast.parse("def f(x): return x + 5 if x else 'no'").body[0])
        Constants(integers=(5, 6, 4), texts=('no',), characters='no')
        """
        integers: dict[int, None] = {}
        texts: dict[str, None] = {}
        for statement in node.body[ast.get_docstring(node) is not None :]:
            for inner in ast.walk(statement):
                value = inner.value if isinstance(inner, ast.Constant) else None
                if type(value) is int and abs(value) < 1000:
                    integers |= dict.fromkeys((value, value + 1, value - 1))
                elif isinstance(value, str) and 0 < len(value) <= 30 and value.isprintable():
                    texts[value] = None
        characters = "".join(dict.fromkeys("".join(texts)))
        return cls(tuple(integers)[:_MOST_CONSTANTS], tuple(texts)[:_MOST_CONSTANTS], characters[:40])


def ordinary_inputs(types: Sequence[ValueType], constants: Constants, count: int, seed: int) -> list[tuple[Any, ...]]:
    """Inputs of ordinary values, one argument a type; none twice, the shortest first.

    Args:
        types: of the parameters.
        constants: of the function's body.
        count: of inputs; fewer where the types have no more.
        seed: the same inputs for the same seed.
    """
    values = Values(Random(seed), constants)
    inputs: dict[str, tuple[Any, ...]] = {}
    for _ in range(_DRAWS * count):
        if len(inputs) == count:
            break
        arguments = values.arguments(types)
        inputs[repr(arguments)] = arguments
    return [inputs[text] for text in sorted(inputs, key=lambda text: (len(text), text))]


def edge_inputs(types: Sequence[ValueType], ordinary: Sequence[tuple[Any, ...]], count: int) -> list[tuple[Any, ...]]:
    """Inputs with an edge value in the place of one argument of an ordinary input, at most `count`; none twice.

    >>> from rltf.mining.value_types import INT
    >>> edge_inputs([INT], [(3,)], 3)
    [(0,), (1,), (-1,)]
    """
    edges = [_edges(kind) for kind in types]
    inputs: dict[str, tuple[Any, ...]] = {}
    ordinary_texts = set(map(repr, ordinary))
    for rank in range(max(map(len, edges))):
        for at, values in enumerate(edges):
            if rank < len(values) and ordinary:
                base = ordinary[(rank * len(edges) + at) % len(ordinary)]
                arguments = (*base[:at], values[rank], *base[at + 1 :])
                if (text := repr(arguments)) not in ordinary_texts:
                    inputs[text] = arguments
    return list(inputs.values())[:count]


class Values:
    """Draws ordinary values.

    Args:
        rng: random generator.
        constants: of the function's body.
    """

    def __init__(self, rng: Random, constants: Constants) -> None:
        self._rng = rng
        self._integers = [value for value in constants.integers if value > 0]
        self._constants_from_0 = [value for value in constants.integers if value >= 0]
        self._texts = [text for text in constants.texts if text.strip()]
        constant_alphabets = [constants.characters, f"{constants.characters}abAB1 "] if constants.characters else []
        self._alphabets = [*constant_alphabets, "abc", _LETTERS, "0123456789", "01"]

    def arguments(self, types: Sequence[ValueType]) -> tuple[Any, ...]:
        """One value a type; in half of the draws lists and texts have one length, which numbers often are, too."""
        if len(types) > 1 and self._rng.random() < 0.5:
            length = self._rng.randint(1, LONGEST_LIST)
            return tuple(self.value(kind, length) for kind in types)
        return tuple(map(self.value, types))

    def value(self, kind: ValueType, length: int | None = None) -> Any:
        """An ordinary value of a type, with so many items where a length is given."""
        rng, of = self._rng, kind.of
        size = length if length is not None else rng.randint(1, LONGEST_LIST)
        match kind.name:
            case "int":
                return self._integer() if length is None else self._integer_beside(length)
            case "float":
                return rng.randint(1, 2000) / 100
            case "bool":
                return rng.random() < 0.5
            case "str":
                return self._text(length)
            case "none":
                return None
            case "optional":
                return self.value(of[0], length)
            case "list" if of[0].name == "list":
                width = rng.choice((2, rng.randint(1, 4), None))
                return [self.value(of[0], width) for _ in range(min(size, 4))]
            case "list" if of[0].name == "int":
                items = self._integers_of_one_kind(size if length is not None or rng.random() < 0.75 else 2 * size)
                return sorted(items) if rng.random() < 0.25 else items
            case "list":
                repeated = of[0].name == "str" and rng.random() < 0.3
                items = [self.value(of[0]) for _ in range(2 if repeated else size)]
                items = rng.choices(items, k=size) if repeated else items
                return sorted(items) if of[0].name in ("float", "str") and rng.random() < 0.25 else items
            case "set":
                return {self.value(of[0]) for _ in range(size)}
            case "tuple":
                return tuple(self.value(item) for item in of)
            case _:
                return {self.value(of[0]): self.value(of[1]) for _ in range(min(size, 4))}

    def _integer(self) -> int:
        rng = self._rng
        if self._integers and rng.random() < 0.2:
            return rng.choice(self._integers)
        return rng.randint(1, rng.choice(_RANGES))

    def _integer_beside(self, length: int) -> int:
        """A number beside a list or text of so many items: their number, a position, or any other."""
        rng = self._rng
        return rng.choice((length, rng.randint(1, length), self._integer()))

    def _integers_of_one_kind(self, size: int) -> list[int]:
        """Numbers of one range, or constants of the body, or zeros and ones."""
        rng = self._rng
        choices: list[Sequence[int]] = [range(1, 4), *(range(1, largest + 1) for largest in _RANGES), (0, 1)]
        if self._constants_from_0:
            choices += [self._constants_from_0] * 2
        values = rng.choice(choices)
        return [rng.choice(values) for _ in range(size)]

    def _text(self, length: int | None) -> str:
        rng = self._rng
        if length is None and rng.random() < 0.15:
            words = ["".join(rng.choices("abcde", k=rng.randint(1, 4))) for _ in range(rng.randint(2, 4))]
            return " ".join(words)
        if length is None and self._texts and rng.random() < 0.2:
            return rng.choice(self._texts)
        alphabet = rng.choice(self._alphabets)
        return "".join(rng.choices(alphabet, k=length or rng.randint(1, LONGEST_TEXT)))


def _edges(kind: ValueType) -> list[Any]:
    """Edge values of a type, the most telling ones first."""
    of = kind.of
    match kind.name:
        case "int":
            return [0, 1, -1, -7]
        case "float":
            return [0.0, -1.5, 1.0]
        case "bool":
            return [False, True]
        case "str":
            return ["", "a", "A b"]
        case "none":
            return [None]
        case "optional":
            return [None, *_edges(of[0])]
        case "list":
            first, *tail = _edges(of[0])
            return [[], [first], [*tail, first, first]]
        case "set":
            return [set(), {_edges(of[0])[0]}] if of[0].name in ("int", "str", "float") else [set()]
        case "tuple":
            return [tuple(_edges(item)[0] for item in of), tuple(_edges(item)[-1] for item in of)]
        case _:
            return [{}]
