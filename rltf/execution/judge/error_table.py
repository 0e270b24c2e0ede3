"""The category of an error (line, global, ignore), looked up in a table that is data: `errors.yaml`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rltf.execution.judge.outcomes import ErrorRecord
from rltf.types import Category, Outcome
from rltf.validation import OptionError

PAPER = Path(__file__).with_name("errors.yaml")
"""The table of the paper."""
OUTCOMES = tuple(
    outcome for outcome in Outcome if outcome not in (Outcome.WRONG_ANSWER, Outcome.UNJUDGEABLE, Outcome.PASSED)
)
"""Outcomes whose error has a place."""
_CONDITIONS = {"type", "message", "incomplete", "located"}

Rules = dict[str, list[dict[str, Any]]]
"""Outcome -> rules."""


class ErrorTable:
    """Rules by outcome; the first one whose conditions all hold decides.

    Args:
        rules: Outcome -> list of rules, for every outcome that has errors. A rule has `category` and any of: `type` (an
            exception class or several; subclasses count), `message` (a regular expression, searched), `incomplete`
            (more text could complete the program), `located` (a line of the program is known).

    Raises:
        OptionError: A rule is malformed.
    """

    def __init__(self, rules: Mapping[str, Any]) -> None:
        for outcome in rules:
            if outcome not in OUTCOMES:
                raise OptionError("errors", outcome, f"outcomes among {', '.join(OUTCOMES)}")
        self.rules: Rules = {str(outcome): _outcome_rules(outcome, rules.get(outcome)) for outcome in OUTCOMES}

    @classmethod
    def paper(cls, replacements: Mapping[str, Any] | None = None) -> ErrorTable:
        """The paper's table, with other rules for some outcomes.

        Args:
            replacements: Outcome -> rules that take the place of all those that the paper's table has for it.

        Raises:
            OptionError: A rule is malformed.
        """
        import yaml  # type: ignore[import-untyped,unused-ignore]

        if replacements is not None and not isinstance(replacements, Mapping):
            raise OptionError("errors", replacements, "null or a mapping of outcomes to lists of rules")
        return cls(yaml.safe_load(PAPER.read_text(encoding="utf-8")) | dict(replacements or {}))

    def category(self, outcome: Outcome, error: ErrorRecord) -> Category:
        """The category of an error."""
        for rule in self.rules[outcome]:
            if _holds(rule, error):
                return Category(rule["category"])
        raise AssertionError("the last rule holds for every error")


def _outcome_rules(outcome: str, rows: Any) -> list[dict[str, Any]]:
    key = f"errors.{outcome}"
    if not rows or not isinstance(rows, list | tuple):
        raise OptionError(key, rows, "a list of rules")
    rules = [_checked(f"{key}[{i}]", row) for i, row in enumerate(rows)]
    if set(rules[-1]) != {"category"}:
        raise OptionError(f"{key}[{len(rules) - 1}]", rows[-1], "a last rule with `category` alone, which always holds")
    return rules


def _checked(key: str, row: Any) -> dict[str, Any]:
    if not isinstance(row, Mapping) or row.get("category") not in tuple(Category):
        raise OptionError(key, row, f"a mapping with `category`: {', '.join(Category)}")
    for name in sorted(set(row) - _CONDITIONS - {"category"}):
        raise OptionError(f"{key}.{name}", row[name], f"only category, {', '.join(sorted(_CONDITIONS))}")
    rule = dict(row)
    if "type" in rule:
        rule["type"] = [rule["type"]] if isinstance(rule["type"], str) else [str(t) for t in rule["type"]]
    if "message" in rule:
        try:
            re.compile(rule["message"])
        except (re.error, TypeError) as e:
            raise OptionError(f"{key}.message", rule["message"], f"a regular expression ({e})") from None
    return rule


def _holds(rule: Mapping[str, Any], error: ErrorRecord) -> bool:
    if "type" in rule and not set(rule["type"]) & set(error.classes or (error.type,)):
        return False
    if "message" in rule and not re.search(rule["message"], error.message):
        return False
    if "incomplete" in rule and error.incomplete != rule["incomplete"]:
        return False
    return "located" not in rule or (error.line is not None) == rule["located"]
