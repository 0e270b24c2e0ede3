"""`python -m rltf.grounding FILE`, and what the report draws of a run."""

import json

import pytest

from rltf.grounding.__main__ import main

PROGRAMS = [
    {"program": "def f(x):\n    return x", "entry_point": "f"},
    {"program": "def g(x):\n    import re\n    return y", "entry_point": "f"},
    {"solution": "n = int(input())", "entry_point": None},
    {"code": "def f(x):\n    return sqrt(x)", "setup": "from math import sqrt"},
    {"completion": "def f(x):\n    return x", "finish": "length"},
]


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "samples.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in PROGRAMS) + "\n")
    return path


def test_violations_are_counted_by_check(file, capsys):
    """Hard: the second (undefined y, no f), the third (prints nothing) and the last, which was cut."""
    assert main([str(file), "--json"]) == 0
    counts = json.loads(capsys.readouterr().out)
    assert (counts["programs"], counts["hard"], counts["entry_point_known"]) == (5, 3, 3)
    assert {check: number for check, number in counts["checks"].items() if number} == {
        "syntax": 1, "undefined": 1, "entry": 2, "unused": 1,
    }  # fmt: skip
    assert counts["lines_mean"] == pytest.approx((2 + 3 + 1 + 2 + 2) / 5)


def test_the_table_has_shares_and_says_what_was_not_checked(file, capsys):
    assert main([str(file)]) == 0  # 22 + 36 + 16 + 28 + 22 characters
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{file}: 5 programs, 2.0 lines and 24.8 characters each"
    assert lines[1].split() == ["hard", "violation", "3", "60.0%"]
    assert lines[-1] == "entry and value were checked for 3 programs, the others do not name it"


def test_shares_of_hard_violations_have_an_interval_over_problems(tmp_path, capsys):
    """Problem a violates in both of its programs, b in none: means of two draws are 0, 1/2 or 1."""
    right, wrong = "def f(x):\n    return x", "def f("
    rows = [("a", wrong), ("a", wrong), ("b", right), ("b", right)]
    (tmp_path / "s.jsonl").write_text("".join(json.dumps({"task_id": t, "program": p}) + "\n" for t, p in rows))
    assert main([str(tmp_path / "s.jsonl")]) == 0
    assert capsys.readouterr().out.splitlines()[1].split() == ["hard", "violation", "2", "50.0%", "[0.0%,", "100.0%]"]


def test_a_file_of_python_is_one_program(tmp_path, capsys):
    (tmp_path / "a.py").write_text("def f(x):\n    return y\n")
    assert main([str(tmp_path / "a.py"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["checks"]["undefined"] == 1


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ('{"a": 1}', "line 1: expected an object with the text of a program under program, solution, code, completion"),
        ("[1]", "line 1: expected an object"),
        ('{"program": "x = 1"}\n{', "line 2: "),
        ('{"program": "let x", "language": "javascript"}', "line 1: the program is in javascript: expected Python"),
    ],
)
def test_a_file_that_holds_no_programs_is_refused_in_one_sentence(tmp_path, capsys, content, sentence):
    (tmp_path / "rows.jsonl").write_text(content)
    assert main([str(tmp_path / "rows.jsonl")]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {tmp_path / 'rows.jsonl'}: {sentence}")


def test_a_missing_file_is_refused_in_one_sentence(tmp_path, capsys):
    assert main([str(tmp_path / "none.jsonl")]) == 2
    assert "No such file" in capsys.readouterr().err
