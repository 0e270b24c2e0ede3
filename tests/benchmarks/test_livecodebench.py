"""LiveCodeBench: private tests as published, dates, functions and whole programs, its own question."""

import base64
import json
import pickle
import zlib
from datetime import date

import pytest

from rltf.benchmarks.livecodebench import SYSTEM, LiveCodeBench, decode_cases
from rltf.types import CallTest, StdioTest


def private(cases):
    return base64.b64encode(zlib.compress(pickle.dumps(json.dumps(cases)))).decode()


def case(source, result, kind="stdin"):
    return {"input": source, "output": result, "testtype": kind}


def row(number=1, **changes):
    fields = {
        "question_title": "Double",
        "question_content": "Double it.\n",
        "platform": "atcoder",
        "question_id": f"abc{number}",
        "contest_id": "abc",
        "contest_date": "2024-08-03T00:00:00",
        "starter_code": "",
        "difficulty": "easy",
        "public_test_cases": json.dumps([case("1\n", "2\n")]),
        "private_test_cases": private([case("4\n", "8\n")]),
        "metadata": "{}",
    }
    return fields | changes


def functional(**changes):
    return row(
        platform="leetcode",
        starter_code="class Solution:\n    def double(self, n: int, s: str) -> List[int]:\n        ",
        public_test_cases=json.dumps([case('1\n"a"', "[2]", "functional")]),
        private_test_cases=private([case('3\n"b\\n"', "[6]", "functional")]),
        metadata='{"func_name": "double"}',
        **changes,
    )


def test_a_whole_program_has_public_and_private_tests(jsonl):
    [problem] = LiveCodeBench(path=jsonl(row())).problems("test")
    assert problem.id == "livecodebench/abc1"
    assert problem.tests == (StdioTest("1\n", "2\n"), StdioTest("4\n", "8\n"))
    assert (problem.entry_point, problem.difficulty, problem.tags) == (None, "easy", ("atcoder",))


def test_a_function_is_called_with_one_json_value_a_line(jsonl):
    [problem] = LiveCodeBench(path=jsonl(functional())).problems("test")
    assert problem.entry_point == "double"
    assert problem.tests == (CallTest("double", (1, "a"), [2]), CallTest("double", (3, "b\n"), [6]))


def test_dates_platforms_and_difficulties_choose_problems(jsonl):
    path = jsonl(row(1), row(2, contest_date="2024-09-01T10:00:00"), functional(question_id="3", difficulty="hard"))

    def ids(**options):
        return [problem.id.rpartition("/")[2] for problem in LiveCodeBench(path=path, **options).problems("test")]

    assert ids(since="2024-09-01") == ["abc2"]
    assert ids(until=date(2024, 8, 3)) == ["abc1", "3"]
    assert ids(platforms=["leetcode"]) == ids(difficulties=["hard"]) == ["3"]
    with pytest.raises(ValueError, match=r"from 2025-01-01 to any day \(contests are from 2024-08-03 to 2024-09-01\)"):
        ids(since="2025-01-01")
    with pytest.raises(ValueError, match=r"^since is 'August': expected a day as YEAR-MONTH-DAY"):
        ids(since="August")


def test_the_chat_prompt_is_the_benchmarks_own(jsonl):
    benchmark = LiveCodeBench(path=jsonl(row(), functional(question_id="f")))
    script, function = benchmark.problems("test")
    prompt = benchmark.prompt(script)
    assert prompt.system == SYSTEM
    text = prompt.head + prompt.question + prompt.tail
    assert text.startswith("### Question:\nDouble it.\n\n### Format: Read the inputs from stdin solve the problem")
    assert text.endswith("```python\n# YOUR CODE HERE\n```\n\n### Answer: (use the provided format with backticks)\n\n")
    assert "You will use the following starter code" in benchmark.prompt(function).tail
    assert "    def double(self, n: int, s: str) -> List[int]:\n```" in benchmark.prompt(function).tail
    assert LiveCodeBench(path=jsonl(row()), chat={"system": "Be short."}).prompt(script).system == "Be short."


def test_a_folder_has_the_files_of_its_releases(tmp_path):
    for number, name in enumerate(("test.jsonl", "test5.jsonl"), start=1):
        (tmp_path / name).write_text(json.dumps(row(number)) + "\n")
    assert len(LiveCodeBench(path=str(tmp_path)).problems("test")) == 2
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"has none of test.jsonl, test2.jsonl"):
        LiveCodeBench(path=str(tmp_path / "empty"))


class Evil:
    def __reduce__(self):
        return (print, ("run",))


def test_a_pickle_that_would_run_code_is_refused(capsys, jsonl):
    text = base64.b64encode(zlib.compress(pickle.dumps(Evil()))).decode()
    with pytest.raises(
        ValueError,
        match=r"rows.jsonl line 1 has a 'private_test_cases' that holds a pickle of other things than one text",
    ):
        LiveCodeBench(path=jsonl(row(private_test_cases=text)))
    assert "run" not in capsys.readouterr().out
    with pytest.raises(ValueError, match="holds a pickle of other things than one text"):
        decode_cases(base64.b64encode(zlib.compress(pickle.dumps(["a"]))).decode())
    with pytest.raises(ValueError, match="is neither JSON nor compressed text"):
        decode_cases("plain words")


def test_bad_rows_are_named_or_counted(jsonl):
    with pytest.raises(ValueError, match=r"line 1 has a test 1 without the texts 'input' and 'output'"):
        LiveCodeBench(path=jsonl(row(public_test_cases='[{"input": "1"}]')))
    with pytest.raises(ValueError, match=r"line 1 has '3 August' in 'contest_date', expected a day"):
        LiveCodeBench(path=jsonl(row(contest_date="3 August")))
    mixed = row(2, public_test_cases=json.dumps([case("1", "2"), case("1", "2", "functional")]))
    nameless = functional(question_id="n") | {"metadata": "{}"}
    benchmark = LiveCodeBench(path=jsonl(row(), mixed, nameless))
    assert list(benchmark.excluded_ids.values()) == [("livecodebench/abc2", "livecodebench/n")]
