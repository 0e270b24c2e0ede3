"""The error table is data, checked when it is read, and says what the paper says."""

from __future__ import annotations

import pytest

from rltf.execution.judge.error_table import OUTCOMES, ErrorTable


def record(kind: str, message: str = "", line: int | None = 3, incomplete: bool = False, base: str = "Exception"):
    return {"type": kind, "classes": [kind, base], "message": message, "line": line, "incomplete": incomplete}


@pytest.mark.parametrize(
    ("outcome", "error", "category"),
    [
        ("syntax_error", record("SyntaxError", "'(' was never closed", incomplete=True), "global"),
        ("syntax_error", record("SyntaxError", "'(' was never closed"), "line"),
        ("syntax_error", record("SyntaxError", "unterminated triple-quoted string literal", incomplete=True), "ignore"),
        ("syntax_error", record("IndentationError", "unindent does not match any outer indentation level"), "ignore"),
        ("syntax_error", record("IndentationError", "unexpected indent"), "line"),
        ("syntax_error", record("TabError", "inconsistent use"), "ignore"),
        ("syntax_error", record("SyntaxError", "source code string cannot contain null bytes", None), "ignore"),
        ("runtime_error", record("NameError"), "line"),
        ("runtime_error", record("MyIndexError", base="IndexError"), "line"),
        ("runtime_error", record("RecursionError"), "global"),
        ("runtime_error", record("SystemExit"), "ignore"),
        ("runtime_error", record("SIGSEGV", line=None), "ignore"),
        ("timeout", record("Timeout", line=None), "global"),
        ("memory_limit", record("MemoryError"), "global"),
    ],
)
def test_the_paper_table(outcome: str, error: dict, category: str) -> None:
    assert ErrorTable.paper().category(outcome, error) == category


def test_subclasses_count_for_their_base() -> None:
    rules = {outcome: [{"category": "line"}] for outcome in OUTCOMES}
    rules["runtime_error"] = [{"type": "LookupError", "category": "global"}, {"category": "line"}]
    table = ErrorTable(rules)
    assert table.category("runtime_error", record("KeyError", base="LookupError")) == "global"
    assert table.category("runtime_error", record("ValueError")) == "line"


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"timeout": []}, "errors.timeout"),
        ({"wrong_answer": [{"category": "line"}]}, "errors.wrong_answer"),
        ({"timeout": [{"category": "everywhere"}]}, r"errors.timeout\[0\]"),
        ({"timeout": [{"kind": "x", "category": "line"}, {"category": "line"}]}, r"errors.timeout\[0\].kind"),
        ({"timeout": [{"message": "(", "category": "line"}, {"category": "line"}]}, r"errors.timeout\[0\].message"),
        ({"timeout": [{"type": "X", "category": "line"}]}, "errors.timeout must end"),
    ],
)
def test_a_malformed_table_names_the_rule(change: dict, key: str) -> None:
    rules = {outcome: [{"category": "line"}] for outcome in OUTCOMES} | change
    with pytest.raises(ValueError, match=key):
        ErrorTable(rules)
