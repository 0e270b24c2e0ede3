"""The English of expressions and conditions, in three phrasings each.

An operation inside another, or inside a clause, stands in brackets, so that a sentence has one reading; a test reads it
back with a grammar of its own.
"""

from __future__ import annotations

from rltf.benchmarks.mini.forms import Apply, Expression

VARIANTS = 3
"""Phrasings of each clause and operation."""

PHRASES: dict[str, tuple[str, str, str]] = {
    "add": ("{0} plus {1}", "the sum of {0} and {1}", "{0} increased by {1}"),
    "subtract": ("{0} minus {1}", "{1} subtracted from {0}", "{0} decreased by {1}"),
    "multiply": ("{0} times {1}", "the product of {0} and {1}", "{0} multiplied by {1}"),
    "divide_k": ("{0} divided by {1} and rounded down", "the floor of {0} over {1}", "{0} floor-divided by {1}"),
    "modulo_k": ("{0} modulo {1}", "the remainder of {0} divided by {1}", "{0} mod {1}"),
    "sum": ("the total of {0}", "the total of all numbers in {0}", "{0} added up"),
    "length": ("the length of {0}", "the number of items in {0}", "how many items {0} has"),
    "letters": ("the length of {0}", "the number of characters in {0}", "how many characters {0} has"),
    "above": ("{0} is greater than {1}", "{0} exceeds {1}", "{0} is above {1}"),
    "below": ("{0} is less than {1}", "{0} is smaller than {1}", "{0} is below {1}"),
    "at_least_k": ("{0} is at least {1}", "{0} is {1} or more", "{0} is not below {1}"),
    "at_most_k": ("{0} is at most {1}", "{0} is {1} or less", "{0} is not above {1}"),
    "even": ("{0} is even", "{0} is divisible by 2", "{0} is an even number"),
    "odd": ("{0} is odd", "{0} is not divisible by 2", "{0} is an odd number"),
}
"""Name of an operation of `mini` -> its phrasings. `mini` says `over` and `mod` of a language of its own; here a reader
who knows Python alone must come to the same result, for negative numbers, too."""


def phrase(expression: Expression, variant: int) -> str:
    """The expression in a phrasing, without brackets around it.

    Args:
        expression: of operations that `PHRASES` has.
        variant: 0 to `VARIANTS` - 1.
    """
    if not isinstance(expression, Apply):
        return expression.english()
    return PHRASES[expression.form.name][variant].format(*(bracketed(a, variant) for a in expression.args))


def bracketed(expression: Expression, variant: int) -> str:
    """The expression in a phrasing, in brackets where it is an operation."""
    text = phrase(expression, variant)
    return f"({text})" if isinstance(expression, Apply) else text
