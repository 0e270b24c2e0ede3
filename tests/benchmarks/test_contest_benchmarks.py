"""`leetcode`, `contests`, `taco`, `code_contests`: rows as their authors publish them, and packed ones."""

import json

import pytest
from benchmark_rows import apps_row

from rltf.benchmarks.code_contests import CodeContests
from rltf.benchmarks.contests import Contests
from rltf.benchmarks.leetcode import LeetCode
from rltf.benchmarks.taco import Taco
from rltf.execution import LocalExecutor
from rltf.types import CallTest, CheckTest, Outcome, StdioTest


def leetcode_row(**changes):
    row = {
        "task_id": "two-sum",
        "question_id": 1,
        "difficulty": "Easy",
        "tags": ["Array"],
        "problem_description": "Add them.",
        "starter_code": "class Solution:\n    def add(self, a: int, b: int) -> int:\n        ",
        "estimated_date": "2024-07-15",
        "prompt": "from typing import *\n",
        "completion": "class Solution:\n    def add(self, a: int, b: int) -> int:\n        return a + b\n",
        "entry_point": "Solution().add",
        "test": "def check(candidate):\n    assert candidate(a=1, b=2) == 3\n    assert candidate(a=2, b=2) == 4\n",
    }
    return row | changes


def taco_row(**changes):
    row = {
        "question": "Double it.",
        "solutions": json.dumps(["print(2 * int(input()))"]),
        "starter_code": "",
        "input_output": json.dumps({"inputs": ["1\n", "2\n"], "outputs": ["2\n", "4\n"]}),
        "difficulty": "EASY",
        "raw_tags": "[]",
        "skill_types": "[]",
    }
    return row | changes


def code_contests_row(**changes):
    row = {
        "name": "1_A. Double",
        "description": "Double it.",
        "public_tests": {"input": ["1\n"], "output": ["2\n"]},
        "private_tests": {"input": ["5\n"], "output": ["10\n"]},
        "generated_tests": {"input": ["7\n", "1\n"], "output": ["14\n", "2\n"]},
        "source": 2,
        "cf_rating": 800,
        "solutions": {
            "language": [1, 3, 2, 3],
            "solution": ["print 2", "x = int(input())\nprint(x + x)", "int main(){}", "print(2 * int(input()))\r\n"],
        },
        "input_file": "",
        "output_file": "",
    }
    return row | changes


def test_a_published_leetcode_row_is_judged(jsonl):
    [problem] = LeetCode(path=jsonl(leetcode_row()), validation_share=0).problems("train")
    assert (problem.id, problem.entry_point, problem.difficulty) == ("leetcode/two-sum", "add", "Easy")
    assert isinstance(problem.tests[0], CheckTest)
    with LocalExecutor(workers=1) as executor:
        passed, wrong = executor.map(
            map(problem.job, (problem.references[0], problem.references[0].replace("a + b", "a * b")))
        )
    assert (passed.outcome, wrong.outcome) == (Outcome.PASSED, Outcome.WRONG_ANSWER)


def test_leetcode_by_day_and_split(jsonl):
    path = jsonl(leetcode_row(), leetcode_row(task_id="late", estimated_date="2025-01-02"))
    late = LeetCode(path=path, since="2025-01-01", split="test")
    assert [problem.id for problem in late.problems("test")] == ["leetcode/late"]
    with pytest.raises(ValueError, match=r"tests that can be judged and benchmark.since=2026-01-01"):
        LeetCode(path=path, since="2026-01-01")
    packed = {"id": "leetcode/x", "split": "train", "question": "?", "entry_point": "Solution().f"}
    row = packed | {"test": leetcode_row()["test"], "starter_code": "class Solution:", "solutions": []}
    assert len(LeetCode(path=jsonl(row, name="packed.jsonl"), validation_share=0).problems("train")) == 1


def test_contests_read_packed_rows_and_those_of_deepcoder(jsonl):
    [packed] = Contests(path=jsonl(apps_row(1, split="test"))).problems("test")
    assert packed.tests == (StdioTest("1\n", "2\n"), StdioTest("2\n", "4\n"))
    script = {"problem": "Double it.", "solutions": ["print(2)"], "tests": [{"input": "1\n", "output": "2\n"}] * 2}
    tests = [
        {"type": "stdin_stdout", "input": "3\n", "output": "6\n"},
        {"type": "stdin_stdout", "input": "4\n", "output": "8\n"},
    ]
    typed = {"problem": "Double it.", "tests": json.dumps(tests)}
    calls = {
        "problem": "f",
        "starter_code": "def f(n):",
        "tests": {"fn_name": "f", "inputs": [[1], [2]], "outputs": [2, 4]},
    }
    meta = [{"testtype": "functional", "input": "1", "output": "2", "metadata": {"func_name": "f"}}]
    functional = {"problem": "f", "starter_code": "def f(n):", "tests": json.dumps(meta * 2)}
    path = jsonl(script, typed, calls, functional, name="deep.jsonl")
    problems = Contests(path=path, validation_share=0, keep_constant=True).problems("train")
    assert [problem.id for problem in problems] == [f"primeintellect/train/{number:05d}" for number in range(4)]
    assert problems[1].tests == (StdioTest("3\n", "6\n"), StdioTest("4\n", "8\n"))
    assert problems[2].tests[0] == CallTest("f", (1,), 2)
    assert problems[3].tests[0] == CallTest("f", (1,), 2)


def test_taco_numbers_its_rows_by_place(tmp_path):
    rows = [taco_row(), taco_row(solutions=None), taco_row(input_output="")]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "test.jsonl").write_text(json.dumps(taco_row(difficulty="HARD")) + "\n")
    benchmark = Taco(path=str(tmp_path), validation_share=0)
    assert [problem.id for problem in benchmark.problems("train")] == ["taco/train/0000", "taco/train/0001"]
    assert [problem.id for problem in benchmark.problems("test")] == ["taco/test/0000"]
    assert benchmark.excluded_ids["without tests"] == ("taco/train/0002",)
    assert benchmark.problems("train")[0].references == ("print(2 * int(input()))",)
    one = Taco(path=str(tmp_path / "test.jsonl"), split="test", difficulties=["HARD"])
    assert [problem.id for problem in one.problems("test")] == ["taco/test/0000"]


def test_code_contests_has_public_private_and_generated_tests(jsonl):
    path = jsonl(code_contests_row())
    [problem] = CodeContests(path=path).problems("train")
    assert [test.stdin for test in problem.tests] == ["1\n", "5\n", "7\n"]  # what is there twice counts once
    assert problem.references == ("print(2 * int(input()))", "x = int(input())\nprint(x + x)")
    assert (problem.id, problem.difficulty, problem.tags) == ("code_contests/1_A. Double", "800", ("codeforces",))
    [few] = CodeContests(path=path, generated=False, max_tests=1, max_references=1, split="test").problems("test")
    assert (len(few.tests), len(few.references)) == (1, 1)


def test_code_contests_in_cpp(jsonl):
    pytest.importorskip("shutil").which("g++") or pytest.skip("no g++")
    benchmark = CodeContests(path=jsonl(code_contests_row()), language="cpp")
    [problem] = benchmark.problems("train")
    assert (problem.language, problem.references, problem.setup) == ("cpp", ("int main(){}",), "")
    assert benchmark.prompt(problem).tail.endswith("Answer with one C++ code block only.")
    assert benchmark.prompt(problem).answer == "```cpp\n"
    with pytest.raises(ValueError, match=r"^prompt is 'doc': expected chat or paper for programs in C\+\+"):
        CodeContests(path=jsonl(code_contests_row()), language="cpp", prompt="doc")


def test_bad_rows_are_named_or_counted(jsonl):
    other = code_contests_row(name="files", input_file="in.txt")
    benchmark = CodeContests(path=jsonl(code_contests_row(), other))
    assert list(benchmark.excluded_ids.values()) == [("code_contests/files",)]
    with pytest.raises(ValueError, match=r"line 1 has in 'public_tests' no texts in pairs"):
        CodeContests(path=jsonl(code_contests_row(public_tests={"input": ["1"], "output": []})))
    with pytest.raises(ValueError, match=r"line 1 is of split 'dev', expected train, valid, validation, test"):
        CodeContests(path=jsonl(code_contests_row(split="dev")))
    with pytest.raises(ValueError, match=r"line 1 has no JSON in 'tests'"):
        Contests(path=jsonl({"problem": "?", "tests": "[1"}))
    mixed = {"problem": "?", "tests": [{"type": "stdin"}, {"type": "functional"}]}
    good = {"problem": "?", "tests": [{"input": "1", "output": "2"}, {"input": "2", "output": "3"}]}
    benchmark = Contests(path=jsonl(good, mixed), validation_share=0)
    assert list(benchmark.excluded_ids.values()) == [("primeintellect/train/00001",)]


def test_listed_problems_are_left_out_of_training(jsonl, tmp_path):
    path = jsonl(leetcode_row(), leetcode_row(task_id="b"), leetcode_row(task_id="c", split="test"))
    ids = tmp_path / "ids.txt"
    ids.write_text("leetcode/b\nleetcode/c\n")
    benchmark = LeetCode(path=path, exclude=str(ids), validation_share=0)
    assert [problem.id for problem in benchmark.problems("train")] == ["leetcode/two-sum"]
    assert [problem.id for problem in benchmark.problems("test")] == ["leetcode/c"]
    assert list(benchmark.excluded_ids.values()) == [("leetcode/b",)]
    ids.write_text("leetcode/z\n")
    with pytest.raises(ValueError, match=r"^benchmark.exclude: .* names no training problem of"):
        LeetCode(path=path, exclude=str(ids))
    ids.write_text("\n")
    with pytest.raises(ValueError, match=r"^benchmark.exclude: .* is empty, expected a problem id a line"):
        LeetCode(path=path, exclude=str(ids))
