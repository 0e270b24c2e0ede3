"""The category of an error (line, global, ignore), looked up in a table that is data: `configs/errors/paper.yaml`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

CATEGORIES = ("line", "global", "ignore")
OUTCOMES = ("syntax_error", "runtime_error", "timeout", "memory_limit", "output_limit", "violation")
_CONDITIONS = {"type", "message", "incomplete", "located"}


class ErrorTable:
    """Rules by outcome; the first one whose conditions all hold decides.

    Args:
        rules: Outcome -> list of rules. A rule has `category` and any of: `type` (an exception class or several;
            subclasses count), `message` (a regular expression, searched), `incomplete` (more text could complete the
            program), `located` (a line of the program is known).

    Raises:
        ValueError: A rule is malformed.
    """

    def __init__(self, rules: Mapping[str, Any]) -> None:
        for outcome in OUTCOMES:
            if not rules.get(outcome):
                raise ValueError(f"errors.{outcome} is missing: expected a list of rules")
        self.rules: dict[str, list[dict[str, Any]]] = {}
        for outcome, rows in rules.items():
            if outcome not in OUTCOMES:
                raise ValueError(f"errors.{outcome} is no outcome: expected one of {', '.join(OUTCOMES)}")
            self.rules[outcome] = [_checked(f"errors.{outcome}[{i}]", row) for i, row in enumerate(rows)]
            if set(self.rules[outcome][-1]) != {"category"}:
                raise ValueError(f"errors.{outcome} must end in a rule with `category` alone, which takes the rest")

    def category(self, outcome: str, record: Mapping[str, Any]) -> str:
        """The category of an error record (`rltf.execution.inside.error_location`)."""
        for rule in self.rules[outcome]:
            if _holds(rule, record):
                return str(rule["category"])
        raise AssertionError("the last rule takes all")

    @classmethod
    def paper(cls) -> ErrorTable:
        """The table that ships with `rltf`."""
        import yaml  # type: ignore[import-untyped,unused-ignore]

        package = Path(__file__).resolve().parents[2]
        for folder in (package / "configs", package.parent / "configs"):
            path = folder / "errors" / "paper.yaml"
            if path.is_file():
                return cls(yaml.safe_load(path.read_text(encoding="utf-8")))
        raise FileNotFoundError("configs/errors/paper.yaml is not beside the package `rltf`")


def _checked(key: str, row: Any) -> dict[str, Any]:
    if not isinstance(row, Mapping) or row.get("category") not in CATEGORIES:
        raise ValueError(f"{key} is {row!r}: expected a mapping with category: line, global or ignore")
    unknown = set(row) - _CONDITIONS - {"category"}
    if unknown:
        raise ValueError(f"{key}.{min(unknown)} is unknown: expected {', '.join(sorted(_CONDITIONS))}")
    rule = dict(row)
    if "type" in rule:
        rule["type"] = [rule["type"]] if isinstance(rule["type"], str) else [str(t) for t in rule["type"]]
    if "message" in rule:
        try:
            re.compile(rule["message"])
        except (re.error, TypeError) as e:
            raise ValueError(f"{key}.message is no regular expression: {e}") from None
    return rule


def _holds(rule: Mapping[str, Any], record: Mapping[str, Any]) -> bool:
    if "type" in rule and not set(rule["type"]) & set(record.get("classes") or [record["type"]]):
        return False
    if "message" in rule and not re.search(rule["message"], record["message"]):
        return False
    if "incomplete" in rule and bool(record.get("incomplete")) != rule["incomplete"]:
        return False
    return "located" not in rule or (record["line"] is not None) == rule["located"]
