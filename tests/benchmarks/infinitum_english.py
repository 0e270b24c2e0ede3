"""Reads the English of `infinitum` back into Python, by a grammar of its own that shares nothing with the benchmark."""

# ruff: noqa: E501 (a pattern is a sentence)

from __future__ import annotations

import re

A = r"(\S+?)"
"""A name, a number, a quoted text, or a bracket."""
C = r"(.+?)"
"""A condition."""

EXPRESSIONS = {
    rf"{A} plus {A}": "({0} + {1})",
    rf"the sum of {A} and {A}": "({0} + {1})",
    rf"{A} increased by {A}": "({0} + {1})",
    rf"{A} minus {A}": "({0} - {1})",
    rf"{A} subtracted from {A}": "({1} - {0})",
    rf"{A} decreased by {A}": "({0} - {1})",
    rf"{A} times {A}": "({0} * {1})",
    rf"the product of {A} and {A}": "({0} * {1})",
    rf"{A} multiplied by {A}": "({0} * {1})",
    rf"{A} divided by {A} and rounded down": "({0} // {1})",
    rf"the floor of {A} over {A}": "({0} // {1})",
    rf"{A} floor-divided by {A}": "({0} // {1})",
    rf"{A} modulo {A}": "({0} % {1})",
    rf"the remainder of {A} divided by {A}": "({0} % {1})",
    rf"{A} mod {A}": "({0} % {1})",
    rf"the total of(?: all numbers in)? {A}": "sum({0})",
    rf"{A} added up": "sum({0})",
    rf"the length of {A}": "len({0})",
    rf"the number of (?:items|characters) in {A}": "len({0})",
    rf"how many (?:items|characters) {A} has": "len({0})",
    rf"the number of {A} at index {A}": "{0}[{1}]",
    rf"{A} in upper case": "{0}.upper()",
    rf"{A} twice": "({0} + {0})",
    rf"{A} with {A} behind it": "({0} + {1})",
    rf"{A} with {A} before it": "({1} + {0})",
    rf"{A} of {A}": "{0}({1})",
    rf"{A}": "{0}",
}
CONDITIONS = {
    rf"{A} (?:is greater than|exceeds|is above) {A}": "{0} > {1}",
    rf"{A} (?:is less than|is smaller than|is below) {A}": "{0} < {1}",
    rf"{A} (?:is at least|is not below) {A}|{A} is {A} or more": "{0} >= {1}",
    rf"{A} (?:is at most|is not above) {A}|{A} is {A} or less": "{0} <= {1}",
    rf"{A} is (?:even|divisible by 2|an even number)": "{0} % 2 == 0",
    rf"{A} is (?:odd|not divisible by 2|an odd number)": "{0} % 2 != 0",
}
SHRINK = rf"(divide {A} by {A}, rounding down|subtract {A} from {A})"
CLAUSES = {
    rf"(?:Let|let|Set|set|compute|Compute) (?P<v>\w+) (?:be|to|as) (?P<e>{A}(?: (?:of|plus) {A})?)": "{v} = {e}",
    rf"If (?P<c>{C}), let (?P<v>\w+) be (?P<e>{A}), otherwise let \w+ be (?P<f>{A})": "{v} = {e} if {c} else {f}",
    rf"Let (?P<v>\w+) be (?P<e>{A}) if (?P<c>{C}), and (?P<f>{A}) in all other cases": "{v} = {e} if {c} else {f}",
    rf"When (?P<c>{C}), set (?P<v>\w+) to (?P<e>{A}); when not, set \w+ to (?P<f>{A})": "{v} = {e} if {c} else {f}",
    rf"If (?P<c>{C}), let (?P<v>\w+) be (?P<e>{A}) where (?P<d>{C}) and (?P<f>\S+) where not; otherwise let \w+ be (?P<g>{A})":
        "{v} = ({e} if {d} else {f}) if {c} else {g}",
    rf"When (?P<c>{C}), a second question decides: if (?P<d>{C}), set (?P<v>\w+) to (?P<e>{A}), if not, set \w+ to "
    rf"(?P<f>{A}); when the first condition fails, set \w+ to (?P<g>{A})": "{v} = ({e} if {d} else {f}) if {c} else {g}",
    rf"Let (?P<v>\w+) be (?P<g>{A}), unless (?P<c>{C}): then let \w+ be (?P<e>{A}) if (?P<d>{C}), else (?P<f>{A})":
        "{v} = ({e} if {d} else {f}) if {c} else {g}",
    rf"Start (?P<v>\w+) at (?P<k>{A}); for each (?P<x>\w+) in (?P<xs>\w+), add (?P<e>{A}) to \w+":
        "{v} = {k} + sum({e} for {x} in {xs})",
    rf"Add up (?P<e>{A}) for every (?P<x>\w+) in (?P<xs>\w+), and let (?P<v>\w+) be that total plus (?P<k>{A})":
        "{v} = {k} + sum({e} for {x} in {xs})",
    rf"Set (?P<v>\w+) to (?P<k>{A}), then go through (?P<xs>\w+) and for each number (?P<x>\w+) increase \w+ by (?P<e>{A})":
        "{v} = {k} + sum({e} for {x} in {xs})",
    rf"Start (?P<v>\w+) at (?P<k>{A}); for each (?P<x>\w+) in (?P<xs>\w+), and inside that for each (?P<y>\w+) in "
    rf"(?P<r>.+), add (?P<e>{A}) to \w+": "{v} = {k} + sum({e} for {x} in {xs} for {y} in {r})",
    rf"Add up (?P<e>{A}) for every pair of a number (?P<x>\w+) in (?P<xs>\w+) and a number (?P<y>\w+) in (?P<r>.+), and let "
    rf"(?P<v>\w+) be that total plus (?P<k>{A})": "{v} = {k} + sum({e} for {x} in {xs} for {y} in {r})",
    rf"Set (?P<v>\w+) to (?P<k>{A}), then go through (?P<xs>\w+) and, for each number (?P<x>\w+) of it, through (?P<r>.+); "
    rf"for each number (?P<y>\w+) there increase \w+ by (?P<e>{A})": "{v} = {k} + sum({e} for {x} in {xs} for {y} in {r})",
    rf"Let (?P<n>\w+) be the absolute value of (?P<a>{A}) and start (?P<v>\w+) at (?P<k>{A}); while \w+ is above (?P<c>{A}), "
    rf"add (?P<e>{A}) to \w+ and then (?P<s>{SHRINK})": "{n}, {v} = abs({a}), {k}\nwhile {n} > {c}:\n    {v} += {e}\n    {s}",
    rf"Start (?P<v>\w+) at (?P<k>{A}) and (?P<n>\w+) at the absolute value of (?P<a>{A}); as long as \w+ exceeds (?P<c>{A}), "
    rf"increase \w+ by (?P<e>{A}) and afterwards (?P<s>{SHRINK})":
        "{n}, {v} = abs({a}), {k}\nwhile {n} > {c}:\n    {v} += {e}\n    {s}",
    rf"Set (?P<n>\w+) to (?P<a>{A}) without its sign and (?P<v>\w+) to (?P<k>{A}); repeat while \w+ is greater than (?P<c>{A}): "
    rf"add (?P<e>{A}) to \w+, then (?P<s>{SHRINK})": "{n}, {v} = abs({a}), {k}\nwhile {n} > {c}:\n    {v} += {e}\n    {s}",
    rf"Let (?P<v>\w+) be (?P<k>{A}); go through (?P<xs>\w+) and at the first (?P<x>\w+) for which (?P<c>{C}), set \w+ to "
    rf"(?P<e>{A}) and stop": "{v} = next(({e} for {x} in {xs} if {c}), {k})",
    rf"Find the first (?P<x>\w+) in (?P<xs>\w+) such that (?P<c>{C}) and let (?P<v>\w+) be (?P<e>{A}); if there is none, let "
    rf"\w+ be (?P<k>{A})": "{v} = next(({e} for {x} in {xs} if {c}), {k})",
    rf"Set (?P<v>\w+) to (?P<k>{A}); for each (?P<x>\w+) in (?P<xs>\w+), as soon as (?P<c>{C}), replace \w+ by (?P<e>{A}) and "
    r"leave the loop": "{v} = next(({e} for {x} in {xs} if {c}), {k})",
    rf"Let (?P<v>\w+) be the list of (?P<e>{A}) for each (?P<x>\w+) in (?P<xs>\w+)(?: for which (?P<c>{C}))?":
        "{v} = [{e} for {x} in {xs} if {c}]",
    rf"For every (?P<x>\w+) in (?P<xs>\w+)(?: such that (?P<c>{C}))?, put (?P<e>{A}) into a new list (?P<v>\w+)":
        "{v} = [{e} for {x} in {xs} if {c}]",
    rf"Set (?P<v>\w+) to a list with (?P<e>{A}) for all (?P<x>\w+) of (?P<xs>\w+?)(?: where (?P<c>{C}))?, in the same order":
        "{v} = [{e} for {x} in {xs} if {c}]",
    rf"Divide (?P<a>{A}) by (?P<k>{A}), rounding down, into (?P<q>\w+) with remainder (?P<r>\w+), and let (?P<v>\w+) be (?P<e>{A})":
        "{q}, {r} = {a} // {k}, {a} % {k}\n{v} = {e}",
    rf"Let (?P<q>\w+) and (?P<r>\w+) be the floor quotient and the remainder of (?P<a>{A}) by (?P<k>{A}); then let (?P<v>\w+) "
    rf"be (?P<e>{A})": "{q}, {r} = {a} // {k}, {a} % {k}\n{v} = {e}",
    rf"Unpack the rounded-down quotient and the remainder of (?P<a>{A}) divided by (?P<k>{A}) into (?P<q>\w+) and (?P<r>\w+); "
    rf"set (?P<v>\w+) to (?P<e>{A})": "{q}, {r} = {a} // {k}, {a} % {k}\n{v} = {e}",
    rf"(?:Split (?P<xs>\w+) into its first number (?P<q>\w+) and the list (?P<r>\w+) of the others, and let (?P<v>\w+) be "
    rf"(?P<e>{A}))": "{q}, {r} = {xs}[0], {xs}[1:]\n{v} = {e}",
    rf"Let (?P<q>\w+) be the first number of (?P<xs>\w+) and (?P<r>\w+) the list of all after it; then let (?P<v>\w+) be "
    rf"(?P<e>{A})": "{q}, {r} = {xs}[0], {xs}[1:]\n{v} = {e}",
    rf"Unpack (?P<xs>\w+) into its head (?P<q>\w+) and its tail (?P<r>\w+); set (?P<v>\w+) to (?P<e>{A})":
        "{q}, {r} = {xs}[0], {xs}[1:]\n{v} = {e}",
    rf"Count in a dictionary \w+ how often each value of (?P<e>{A}) occurs over all (?P<x>\w+) in (?P<xs>\w+), and let "
    rf"(?P<v>\w+) be the count of (?P<k>{A}), 0 if it does not occur": "{v} = [{e} for {x} in {xs}].count({k})",
    rf"For each (?P<x>\w+) in (?P<xs>\w+), add 1 to the entry of (?P<e>{A}) in a dictionary \w+, whose entries start at 0; let "
    rf"(?P<v>\w+) be the entry of (?P<k>{A})": "{v} = [{e} for {x} in {xs}].count({k})",
    rf"Make a dictionary \w+ from (?P<e>{A}) to the number of times it appears, for every (?P<x>\w+) in (?P<xs>\w+); set "
    rf"(?P<v>\w+) to the number for (?P<k>{A}), or to 0 without one": "{v} = [{e} for {x} in {xs}].count({k})",
    rf"Let (?P<n>\w+) map (?P<pairs>.+); let (?P<v>\w+) be the value of (?P<e>{A}) in \w+, or (?P<k>{A}) if it has none":
        "{v} = {{{pairs}}}.get({e}, {k})",
    rf"With a dictionary \w+ that maps (?P<pairs>.+), look up (?P<e>{A}) and let (?P<v>\w+) be what it gives, (?P<k>{A}) for a "
    r"missing key": "{v} = {{{pairs}}}.get({e}, {k})",
    rf"Define a dictionary \w+ from (?P<pairs>.+); set (?P<v>\w+) to its entry for (?P<e>{A}), with (?P<k>{A}) as the default":
        "{v} = {{{pairs}}}.get({e}, {k})",
    r"Let (?P<v>\w+) be the (?P<what>.+) of the distinct numbers that are (?P<set>.+)": "{v} = {what}({set})",
    r"Take the distinct numbers (?P<set>.+), and let (?P<v>\w+) be the (?P<what>.+) of them": "{v} = {what}({set})",
    r"Using sets, set (?P<v>\w+) to the (?P<what>.+) of the numbers (?P<set>.+), each taken once": "{v} = {what}({set})",
    rf"Start (?P<v>\w+) as (?P<start>.+); for each character (?P<x>\w+) in (?P<xs>\w+), (?P<grow>.+) \w+ (?P<e>{A}) if \w+ is one "
    rf"of (?P<c>{A}), otherwise (?P<f>{A})": "TEXT",
    rf"Build (?P<v>\w+) from (?P<start>.+): go through the characters (?P<x>\w+) of (?P<xs>\w+) and (?P<grow>.+) \w+ (?P<e>{A}) "
    rf"where \w+ is among (?P<c>{A}) and (?P<f>{A}) where it is not": "TEXT",
    rf"Set (?P<v>\w+) to (?P<start>.+); then, for every character (?P<x>\w+) of (?P<xs>\w+), if it is in (?P<c>{A}), (?P<grow>.+?) "
    rf"(?P=v) (?P<e>{A}), else (?P<f>{A})": "TEXT",
    r"Let (?P<v>\w+) be the text of (?P<parts>.+), without spaces": "{v} = ''.join(map(str, [{parts}]))",
    r"Format (?P<v>\w+) as (?P<parts>.+), without blanks in between": "{v} = ''.join(map(str, [{parts}]))",
    r"Set (?P<v>\w+) to a string that joins (?P<parts>.+), with nothing between them": "{v} = ''.join(map(str, [{parts}]))",
    rf"Define (?P<g>\w+) of (?P<x>\w+) as (?P<e>{A}) and (?P<h>\w+) of (?P<y>\w+) as (?P<f>{A}); let (?P<v>\w+) be (?P<call>.+)":
        "{g} = lambda {x}: {e}\n{h} = lambda {y}: {f}\n{v} = {call}",
    rf"Write two helpers: (?P<g>\w+) of (?P<x>\w+) gives (?P<e>{A}), (?P<h>\w+) of (?P<y>\w+) gives (?P<f>{A}); set (?P<v>\w+) to "
    r"(?P<call>.+)": "{g} = lambda {x}: {e}\n{h} = lambda {y}: {f}\n{v} = {call}",
    rf"Let (?P<g>\w+) be the function that turns (?P<x>\w+) into (?P<e>{A}), and (?P<h>\w+) the one that turns (?P<y>\w+) into "
    rf"(?P<f>{A}); compute (?P<v>\w+) as (?P<call>.+)": "{g} = lambda {x}: {e}\n{h} = lambda {y}: {f}\n{v} = {call}",
    rf"Define (?P<g>\w+) of (?P<n>\w+) recursively: it is (?P<k>{A}) if \w+ is at most (?P<c>{A}), otherwise (?P<e>{A}) plus \w+ of "
    rf"(?P<f>{A}); let (?P<v>\w+) be \w+ of (?P<a>{A})": "{g} = lambda {n}: {k} if {n} <= {c} else {e} + {g}({f})\n{v} = {g}({a})",
    rf"Write a recursive helper (?P<g>\w+) that takes (?P<n>\w+) and returns (?P<k>{A}) once \w+ is (?P<c>{A}) or less, and before "
    rf"that (?P<e>{A}) plus the result of \w+ for (?P<f>{A}); set (?P<v>\w+) to its result for (?P<a>{A})":
        "{g} = lambda {n}: {k} if {n} <= {c} else {e} + {g}({f})\n{v} = {g}({a})",
    rf"Let (?P<g>\w+) be a recursive function: for (?P<n>\w+) not above (?P<c>{A}) it gives (?P<k>{A}), for all others (?P<e>{A}) "
    rf"plus what \w+ gives for (?P<f>{A}); compute (?P<v>\w+) as \w+ of (?P<a>{A})":
        "{g} = lambda {n}: {k} if {n} <= {c} else {e} + {g}({f})\n{v} = {g}({a})",
    rf"Try to let (?P<v>\w+) be (?P<e>{A}); if (?P<why>there is no such index|that divides by zero), let \w+ be (?P<k>{A})": "TRY",
    rf"Let (?P<v>\w+) be (?P<e>{A}), but (?P<k>{A}) if (?P<why>there is no such index|that divides by zero)": "TRY",
    rf"Compute (?P<v>\w+) as (?P<e>{A}) and catch the error where (?P<why>there is no such index|that divides by zero); then set "
    rf"\w+ to (?P<k>{A})": "TRY",
}  # fmt: skip
TRY = "try:\n    {v} = {e}\nexcept {why}:\n    {v} = {k}"
ERRORS = {"there is no such index": "IndexError", "that divides by zero": "ZeroDivisionError"}
SETS = {
    rf"in both {A} and {A}|in {A} and also in {A}|shared by {A} and {A}": "set({0}) & set({1})",
    rf"in {A} or in {A}|in at least one of {A} and {A}|of {A} together with {A}": "set({0}) | set({1})",
    rf"in {A} but not in {A}|in {A} and missing in {A}|of {A} without those of {A}": "set({0}) - set({1})",
}
WHAT = {"sorted list": "sorted", "total": "sum", "count": "len"}


def to_python(statement: str) -> str:
    """The function that a task in English asks for."""
    head = re.match(r"(?:Write a|Define the|Implement a) function (\w+\([^)]*\))(?: as follows)?\. ", statement)
    assert head, statement
    flat, brackets = _flattened(statement[head.end() :])
    *clauses, end = flat.removesuffix(".").split(". ")
    lines = [line for clause in clauses for line in _clause(clause, brackets).split("\n")]
    result = re.fullmatch(r"(?:Return|The result is|Give back) (\w+)", end)
    assert result, end
    return "\n    ".join([f"def {head[1]}:", *lines, f"return {result[1]}"])


def _flattened(text: str) -> tuple[str, list[str]]:
    """The text with each bracket replaced by its number, and what is in them."""
    brackets: list[str] = []
    inner = re.compile(r"\(([^()]*)\)|(\{[^{}]*\})")
    while match := inner.search(text):
        brackets.append(match[1] if match[1] is not None else match[2])
        text = f"{text[: match.start()]}@{len(brackets) - 1}{text[match.end() :]}"
    return text, brackets


def _clause(text: str, brackets: list[str]) -> str:
    matches = [(m, code) for pattern, code in CLAUSES.items() if (m := re.fullmatch(pattern, text))]
    assert len(matches) == 1, (text, [code for _, code in matches])
    match, code = matches[0]
    parts = dict(match.groupdict())
    for name in parts.keys() & {"e", "f", "g", "a", "k", "call"}:
        parts[name] = _read(EXPRESSIONS, parts[name], brackets)
    if "lambda {x}" in code or "lambda {n}" in code:
        parts["g"] = match["g"]
    for name in {"c", "d"} & parts.keys():
        is_value = "while" in code or "lambda" in code or code == "TEXT"
        if parts[name] is not None and not is_value:
            parts[name] = _read(CONDITIONS, parts[name], brackets)
        parts[name] = parts[name] or "True"
    if "r" in parts and (span := re.fullmatch(r"the whole numbers from 0 to (\d+)", parts["r"])):
        parts["r"] = f"range({int(span[1]) + 1})"
    if "s" in parts:
        shrink = re.fullmatch(r"divide (\w+) by (\d+), rounding down|subtract (\d+) from (\w+)", parts["s"])
        parts["s"] = f"{shrink[1]} //= {shrink[2]}" if shrink[1] else f"{shrink[4]} -= {shrink[3]}"
    if "pairs" in parts:
        parts["pairs"] = re.sub(r"(-?\d+) to (-?\d+)( and|,)?", r"\1: \2,", parts["pairs"])
    if "parts" in parts:
        pieces = re.split(r" followed by | then | and ", parts["parts"])
        parts["parts"] = ", ".join(_read(EXPRESSIONS, piece, brackets) for piece in pieces)
    if "set" in parts:
        parts["set"], parts["what"] = _read(SETS, parts["set"], brackets), WHAT[parts["what"]]
    if code == "TRY":
        code, parts["why"] = TRY, ERRORS[parts["why"]]
    if code == "TEXT":
        start = parts["start"].removeprefix("the text of ")
        first = "''" if start == "an empty text" else f"str({_read(EXPRESSIONS, start, brackets)})"
        new = f"({parts['e']} if {parts['x']} in {parts['c']} else {parts['f']})"
        v = parts["v"]
        grown = f"{v} + {new}" if parts["grow"] == "append to" else f"{new} + {v}"
        assert parts["grow"] in ("append to", "put in front of")
        return f"{v} = {first}\nfor {parts['x']} in {parts['xs']}:\n    {v} = {grown}"
    return code.format(**parts)


def _read(grammar: dict[str, str], text: str, brackets: list[str]) -> str:
    """Python of an expression, a condition or a set."""
    if bracket := re.fullmatch(r"@(\d+)", text):
        inner = brackets[int(bracket[1])]
        if inner.startswith("{"):
            return "{" + ", ".join(_read(EXPRESSIONS, item, brackets) for item in inner[1:-1].split(", ")) + "}"
        return _read(EXPRESSIONS, inner, brackets)
    for pattern, code in grammar.items():
        if match := re.fullmatch(pattern, text):
            atoms = [group for group in match.groups() if group is not None]
            if atoms == [text]:
                assert re.fullmatch(r"\w+|-?\d+|'[^']*'", text), text
                return text
            return code.format(*(_read(EXPRESSIONS, atom, brackets) for atom in atoms))
    raise AssertionError(text)
