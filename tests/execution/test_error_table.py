"""The error table is data, checked when it is read, and says what the paper says."""

from __future__ import annotations

from typing import Any

import pytest

from rltf.execution.judge.error_table import OUTCOMES, PAPER, ErrorTable
from rltf.execution.judge.outcomes import ErrorRecord
from rltf.types import Outcome
from rltf.validation import OptionError


def error(kind: str, message: str = "", line: int | None = 3, incomplete: bool = False, base: str = "Exception"):
    return ErrorRecord(kind, message, line, line, (kind, base), incomplete)


@pytest.mark.parametrize(
    ("outcome", "record", "category"),
    [
        ("syntax_error", error("SyntaxError", "'(' was never closed", incomplete=True), "global"),
        ("syntax_error", error("SyntaxError", "'(' was never closed"), "line"),
        ("syntax_error", error("SyntaxError", "unterminated triple-quoted string literal", incomplete=True), "ignore"),
        ("syntax_error", error("IndentationError", "unindent does not match any outer indentation level"), "ignore"),
        ("syntax_error", error("IndentationError", "unexpected indent"), "line"),
        ("syntax_error", error("TabError", "inconsistent use"), "ignore"),
        ("syntax_error", error("SyntaxError", "source code string cannot contain null bytes", None), "ignore"),
        ("runtime_error", error("NameError"), "line"),
        ("runtime_error", error("MyIndexError", base="IndexError"), "line"),
        ("runtime_error", error("RecursionError"), "global"),
        ("runtime_error", error("SystemExit"), "ignore"),
        ("runtime_error", error("SIGSEGV", line=None), "ignore"),
        ("timeout", error("Timeout", line=None), "global"),
        ("memory_limit", error("MemoryError"), "global"),
    ],
)
def test_the_paper_table(outcome: str, record: ErrorRecord, category: str) -> None:
    assert ErrorTable.paper().category(Outcome(outcome), record) == category


def test_subclasses_count_for_their_base() -> None:
    table = ErrorTable.paper({"runtime_error": [{"type": "LookupError", "category": "global"}, {"category": "line"}]})
    assert table.category(Outcome.RUNTIME_ERROR, error("KeyError", base="LookupError")) == "global"
    assert table.category(Outcome.RUNTIME_ERROR, error("ValueError")) == "line"


def test_rules_for_an_outcome_replace_those_of_the_paper_and_leave_the_others() -> None:
    paper = ErrorTable.paper()
    table = ErrorTable.paper({"timeout": [{"category": "ignore"}]})
    assert table.rules == paper.rules | {"timeout": [{"category": "ignore"}]}
    assert ErrorTable(table.rules).rules == table.rules
    assert ErrorTable.paper({}).rules == paper.rules


def test_the_paper_table_lies_in_the_package() -> None:
    assert PAPER.parent.joinpath("__init__.py").is_file()
    assert set(ErrorTable.paper().rules) == set(OUTCOMES)


@pytest.mark.parametrize(
    ("replacements", "text"),
    [
        ({"timeout": []}, r"errors.timeout is \[\]: expected a list of rules"),
        ({"wrong_answer": [{"category": "line"}]}, "errors is 'wrong_answer': expected outcomes among syntax_error, "),
        ({"timeout": [{"category": "everywhere"}]}, r"errors.timeout\[0\] is .*: expected a mapping with `category`"),
        ({"timeout": [{"kind": "x", "category": "line"}, {"category": "line"}]}, r"errors.timeout\[0\].kind is 'x'"),
        ({"timeout": [{"message": "(", "category": "line"}, {"category": "line"}]}, r"errors.timeout\[0\].message is"),
        ({"timeout": [{"type": "X", "category": "line"}]}, r"errors.timeout\[0\] is .*: expected a last rule with"),
        ("paper", "errors is 'paper': expected null or a mapping"),
    ],
)
def test_a_malformed_table_names_the_rule(replacements: Any, text: str) -> None:
    with pytest.raises(OptionError, match=f"^{text}"):
        ErrorTable.paper(replacements)
