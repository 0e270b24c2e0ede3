"""The expressions of `mini`: one row per operation, with its types, its Python and its English side by side.

To add an operation: one row in `FORMS`. An expression is a tree of `Apply` over `Variable` and `Literal` leaves; code
and English come from the same tree, so they cannot disagree.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Type(StrEnum):
    """Type of an expression, or kind of an operation's argument."""

    INT = "int"
    BOOL = "bool"
    INTS = "ints"
    """List of int."""
    STR = "str"
    DIGIT = "digit"
    """Literal 2..9, never a subexpression."""
    FEW = "few"
    """Literal 1..3: positions and lengths."""
    LETTER = "letter"
    """Literal one-letter string."""

    @property
    def is_literal(self) -> bool:
        """True for arguments that are filled by a constant."""
        return self in (Type.DIGIT, Type.FEW, Type.LETTER)


@dataclass(frozen=True, slots=True)
class Form:
    """One operation."""

    name: str
    result: Type
    args: tuple[Type, ...]
    code: str
    """Python with `{0}`, `{1}` for the arguments; surplus brackets are removed later."""
    english: str
    tag: str
    """Language construct, for results by construct."""
    weight: float = 1.0
    """Relative frequency among the operations of its result type."""
    bound: tuple[int, ...] = ()
    """Arguments in which `x`, an element of the list, is in scope."""


@dataclass(frozen=True, slots=True)
class Variable:
    """A name in scope."""

    name: str
    type: Type

    def code(self) -> str:
        """The name."""
        return self.name

    def english(self) -> str:
        """The name."""
        return self.name


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant."""

    value: int | str

    def code(self) -> str:
        """The Python literal."""
        return repr(self.value)

    def english(self) -> str:
        """The same literal."""
        return repr(self.value)


@dataclass(frozen=True, slots=True)
class Apply:
    """An operation on arguments."""

    form: Form
    args: tuple[Expression, ...]

    def code(self) -> str:
        """Python code, fully bracketed."""
        return "(" + self.form.code.format(*(a.code() for a in self.args)) + ")"

    def english(self) -> str:
        """English; an argument that is itself an operation stands in brackets, so there is one reading."""
        open_places = self.form.bound
        return self.form.english.format(
            *(
                f"({a.english()})" if isinstance(a, Apply) and i not in open_places else a.english()
                for i, a in enumerate(self.args)
            )
        )


Expression = Variable | Literal | Apply

_I, _B, _L, _S, _D, _F, _C = Type.INT, Type.BOOL, Type.INTS, Type.STR, Type.DIGIT, Type.FEW, Type.LETTER

FORMS: tuple[Form, ...] = (
    Form("add", _I, (_I, _I), "{0} + {1}", "{0} plus {1}", "arithmetic"),
    Form("subtract", _I, (_I, _I), "{0} - {1}", "{0} minus {1}", "arithmetic"),
    Form("multiply", _I, (_I, _I), "{0} * {1}", "{0} times {1}", "arithmetic"),
    Form("add_k", _I, (_I, _D), "{0} + {1}", "{0} plus {1}", "arithmetic"),
    Form("subtract_k", _I, (_I, _D), "{0} - {1}", "{0} minus {1}", "arithmetic"),
    Form("subtract_from_k", _I, (_D, _I), "{0} - {1}", "{0} minus {1}", "arithmetic", 0.2),
    Form("multiply_k", _I, (_I, _D), "{0} * {1}", "{0} times {1}", "arithmetic"),
    Form("divide_k", _I, (_I, _D), "{0} // {1}", "{0} over {1}", "arithmetic"),
    Form("modulo_k", _I, (_I, _D), "{0} % {1}", "{0} mod {1}", "arithmetic"),
    Form("absolute", _I, (_I,), "abs({0})", "the size of {0}", "builtin", 0.5),
    Form("larger", _I, (_I, _I), "max({0}, {1})", "the larger of {0} and {1}", "builtin"),
    Form("smaller", _I, (_I, _I), "min({0}, {1})", "the smaller of {0} and {1}", "builtin"),
    Form("sum", _I, (_L,), "sum({0})", "the sum of {0}", "list"),
    Form("maximum", _I, (_L,), "max({0})", "the maximum of {0}", "list"),
    Form("minimum", _I, (_L,), "min({0})", "the minimum of {0}", "list"),
    Form("length", _I, (_L,), "len({0})", "the length of {0}", "list"),
    Form("first", _I, (_L,), "{0}[0]", "the first of {0}", "index"),
    Form("last", _I, (_L,), "{0}[-1]", "the last of {0}", "index"),
    Form("item", _I, (_L, _F), "{0}[{1}]", "{0} at {1}", "index"),
    Form("letters", _I, (_S,), "len({0})", "the length of {0}", "string"),
    Form("occurrences", _I, (_S, _C), "{0}.count({1})", "how often {0} has {1}", "string"),
    Form("above", _B, (_I, _I), "{0} > {1}", "{0} is above {1}", "comparison"),
    Form("below", _B, (_I, _I), "{0} < {1}", "{0} is below {1}", "comparison"),
    Form("above_k", _B, (_I, _D), "{0} > {1}", "{0} is above {1}", "comparison", 2),
    Form("below_k", _B, (_I, _D), "{0} < {1}", "{0} is below {1}", "comparison", 2),
    Form("at_least_k", _B, (_I, _D), "{0} >= {1}", "{0} is at least {1}", "comparison", 0.5),
    Form("at_most_k", _B, (_I, _D), "{0} <= {1}", "{0} is at most {1}", "comparison", 0.5),
    Form("even", _B, (_I,), "{0} % 2 == 0", "{0} is even", "comparison", 2),
    Form("odd", _B, (_I,), "{0} % 2 == 1", "{0} is odd", "comparison", 2),
    Form("member", _B, (_I, _L), "{0} in {1}", "{0} is in {1}", "list", 0.3),
    Form("has_letter", _B, (_C, _S), "{0} in {1}", "{0} is in {1}", "string", 0.2),
    Form("both", _B, (_B, _B), "{0} and {1}", "{0} and {1}", "boolean", 0.2),
    Form("either", _B, (_B, _B), "{0} or {1}", "{0} or {1}", "boolean", 0.2),
    Form("map", _L, (_L, _I), "[{1} for x in {0}]", "{1} for each x in {0}", "comprehension", 2, (1,)),
    Form("filter", _L, (_L, _B), "[x for x in {0} if {1}]", "each x in {0} where {1}", "comprehension", 2, (1,)),
    Form("sorted", _L, (_L,), "sorted({0})", "sorted {0}", "list"),
    Form("reversed", _L, (_L,), "{0}[::-1]", "{0} reversed", "slice"),
    Form("head", _L, (_L, _F), "{0}[:{1}]", "{0} up to {1}", "slice"),
    Form("tail", _L, (_L, _F), "{0}[{1}:]", "{0} from {1}", "slice"),
    Form("append", _L, (_L, _I), "{0} + [{1}]", "{0} followed by {1}", "list"),
    Form("numbers", _L, (_I,), "list(range({0}))", "the numbers below {0}", "range", 0.3),
    Form("upper", _S, (_S,), "{0}.upper()", "{0} in upper case", "string"),
    Form("lower", _S, (_S,), "{0}.lower()", "{0} in lower case", "string", 0.5),
    Form("backwards", _S, (_S,), "{0}[::-1]", "{0} reversed", "slice"),
    Form("start", _S, (_S, _F), "{0}[:{1}]", "{0} up to {1}", "slice"),
    Form("rest", _S, (_S, _F), "{0}[{1}:]", "{0} from {1}", "slice"),
    Form("repeat", _S, (_S, _F), "{0} * {1}", "{0} repeated {1}", "string", 0.5),
    Form("suffix", _S, (_S, _C), "{0} + {1}", "{0} followed by {1}", "string"),
    Form("prefix", _S, (_C, _S), "{0} + {1}", "{0} followed by {1}", "string"),
    Form("swap", _S, (_S, _C, _C), "{0}.replace({1}, {2})", "{0} with {1} replaced by {2}", "string", 0.3),
    Form("text", _S, (_I,), "str({0})", "the text of {0}", "string", 0.3),
    Form("join", _S, (_S, _S), "{0} + {1}", "{0} followed by {1}", "string", 0.5),
)
