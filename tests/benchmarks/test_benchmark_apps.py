"""What `Apps` makes of small files and of its config."""

import json
import sys

import pytest
from benchmark_rows import apps_row

from rltf.benchmarks.apps.benchmark import Apps
from rltf.types import AssertTest, CallTest, CheckTest, StdioTest


def test_apps_reads_whole_programs_calls_functions_and_methods(jsonl):
    rows = [
        apps_row(1),
        apps_row(
            2,
            starter_code="\ndef f(n):\n\t",
            input_output={"fn_name": "f", "inputs": [[1], [2]], "outputs": [2, 4]},
        ),
        apps_row(
            3,
            starter_code="def g(n):\n",
            tests=["assert g(1) == 2", "assert g((1, 2)) == 3"],
            input_output={"fn_name": "g"},
        ),
        apps_row(
            4,
            starter_code="class Solution:\n    def h(self, n: int) -> int:\n",
            prelude="import math\n",
            entry_point="Solution().h",
            test="def check(candidate):\n    assert candidate(n = 1) == 2\n    assert candidate(n = 2) == 4\n",
        ),
    ]
    problems = Apps(path=jsonl(*rows), validation_share=0).problems("train")
    assert [problem.tests for problem in problems] == [
        (StdioTest("1\n", "2\n"), StdioTest("2\n", "4\n")),
        (CallTest("f", (1,), 2), CallTest("f", (2,), 4)),
        (CallTest("g", (1,), 2), AssertTest("assert g((1, 2)) == 3")),
        (CheckTest(rows[3]["test"], "Solution().h"),),
    ]
    assert [problem.entry_point for problem in problems] == [None, "f", "g", "h"]
    assert problems[0].references == ("print(2 * int(input()))",)  # told apart by a line end alone
    assert problems[3].setup == "import math\n"
    exec(problems[0].setup, scope := {})
    assert (scope["stdin"], scope["stdout"]) == (sys.stdin, sys.stdout)
    assert "stdout" not in problems[1].setup
    assert {"List", "Counter", "math", "lru_cache", "heappush", "ceil", "accumulate", "sys"} <= set(scope)


def test_apps_official_folders_and_the_hubs_files_give_the_packed_problems(tmp_path, jsonl):
    row = apps_row(7, starter_code="def f(n):\n\t")
    folder = tmp_path / "apps" / "train" / "0007"
    folder.mkdir(parents=True)
    (folder / "question.txt").write_text(row["question"])
    (folder / "starter_code.py").write_text(row["starter_code"])
    (folder / "solutions.json").write_text(json.dumps(row["solutions"]))
    (folder / "input_output.json").write_text(json.dumps(row["input_output"]))
    (folder / "metadata.json").write_text(json.dumps({"difficulty": "interview", "url": "x"}))
    empty = tmp_path / "apps" / "test" / "0001"
    empty.mkdir(parents=True)
    (empty / "question.txt").write_text("No tests.")
    (empty / "input_output.json").write_text("")
    text = {field: json.dumps(row[field]) for field in ("solutions", "input_output")}
    jsonl({**row, **text, "id": 7, "split": None}, name="train.jsonl")
    packed = Apps(path=jsonl(row), validation_share=0).problems("train")
    official = Apps(path=str(tmp_path / "apps"), validation_share=0)
    assert official.problems("train") == packed
    assert official.excluded_ids == {"without tests": ("apps/test/0001",)}
    assert Apps(path=str(tmp_path / "apps" / "train"), validation_share=0).problems("train") == packed
    assert Apps(path=str(tmp_path), validation_share=0).problems("train") == packed


def test_apps_validation_is_the_same_part_of_training_whatever_else_is_in_the_file(jsonl):
    rows = [apps_row(number) for number in range(300)]
    benchmark = Apps(path=jsonl(*rows), validation_share=0.2)
    validation = {problem.id for problem in benchmark.problems("validation")}
    training = {problem.id for problem in benchmark.problems("train")}
    assert not validation & training
    assert len(validation | training) == 300
    assert 40 <= len(validation) <= 80  # 60 expected, standard deviation 7
    half = Apps(path=jsonl(*rows[150:]), validation_share=0.2)
    assert {problem.id for problem in half.problems("validation")} == validation & {row["id"] for row in rows[150:]}
    wider = Apps(path=jsonl(*rows), validation_share=0.4)
    assert validation < {problem.id for problem in wider.problems("validation")}


def test_apps_difficulties_are_chosen_and_an_absent_one_is_told_what_there_is(jsonl):
    path = jsonl(apps_row(1), apps_row(2, difficulty="introductory"))
    chosen = Apps(path=path, difficulties=["introductory"], validation_share=0).problems("train")
    assert [problem.id for problem in chosen] == ["apps/train/0002"]
    with pytest.raises(ValueError, match=r"benchmark\.difficulties=\['easy'\] \(found: 'interview', 'introductory'\)"):
        Apps(path=path, difficulties=["easy"])


def test_keep_constant_trains_on_single_tests_too(jsonl):
    single = apps_row(1, input_output={"inputs": ["1"], "outputs": ["2"]})
    path = jsonl(single, apps_row(2))
    assert len(Apps(path=path, validation_share=0).problems("train")) == 1
    assert len(Apps(path=path, validation_share=0, keep_constant=True).problems("train")) == 2


def test_apps_problems_may_lack_tests_and_solutions(jsonl):
    path = jsonl(apps_row(0, solutions=""), apps_row(1, input_output=""), apps_row(2, input_output={}))
    benchmark = Apps(path=path, validation_share=0)
    assert benchmark.excluded_ids == {"without tests": ("apps/train/0001", "apps/train/0002")}
    assert benchmark.demonstrations(benchmark.problems("train")[0]) == ()


def test_a_problem_whose_tests_cannot_be_sent_to_the_sandbox_is_left_out_and_told(jsonl, caplog):
    deep = 1
    for _ in range(900):
        deep = [deep]
    call = {"fn_name": "f", "inputs": [[deep], [[2]]], "outputs": [[2], [4]]}
    path = jsonl(*(apps_row(n, split, input_output=call) for n, split in ((1, "train"), (2, "test"))), apps_row(3))
    benchmark = Apps(path=path, validation_share=0)
    assert benchmark.excluded_ids == {"with tests that cannot be judged": ("apps/train/0001", "apps/test/0002")}
    assert [problem.id for problem in benchmark.problems("train")] == ["apps/train/0003"]
    assert f"apps/train/0001 is left out: {path} line 1: its tests hold what cannot be judged" in caplog.text
    assert "nested deeper than" in caplog.text


def test_inputs_without_outputs_are_told_and_left_out(jsonl, caplog):
    cases = ((["1", "2"], ["1"]), (["1"], ["1", "2"]), ([[1], [2]], [1]))
    rows = [apps_row(n, input_output={"inputs": inputs, "outputs": out}) for n, (inputs, out) in enumerate(cases)]
    rows[2]["input_output"]["fn_name"] = "f"
    path = jsonl(*rows, apps_row(3))
    benchmark = Apps(path=path, validation_share=0)
    assert benchmark.excluded_ids == {
        "with tests that cannot be judged": ("apps/train/0000", "apps/train/0001", "apps/train/0002")
    }
    assert f"apps/train/0000 is left out: {path} line 1: 'input_output' has 2 inputs and 1 outputs" in caplog.text


def test_a_prelude_that_does_not_compile_is_told(jsonl, caplog):
    path = jsonl(apps_row(0, prelude="from math import ("), apps_row(1))
    assert len(Apps(path=path, validation_share=0).problems("train")) == 1
    assert f"apps/train/0000 is left out: {path} line 1: its setup does not compile: " in caplog.text


def test_a_file_with_nothing_to_judge_is_told_with_the_first_reason(jsonl):
    message = r"has tests that can be judged; .*rows\.jsonl line 1: its test 1 checks nothing: it has no assert"
    with pytest.raises(ValueError, match=message):
        Apps(path=jsonl(apps_row(0, tests=["f(1) == 2", "assert f(2) == 3"])))


def test_rows_of_livecodebench_in_the_fields_of_apps(jsonl):
    starter = "class Solution:\n    def both(self, a: List[int], b: int) -> int:\n        "
    cases = {"fn_name": "both", "inputs": ["[1, 2]\n3", "[4]\n5"], "outputs": ["6", "9"]}
    (problem,) = Apps(path=jsonl(apps_row(0, starter_code=starter, input_output=cases)), validation_share=0).problems(
        "train"
    )
    assert problem.tests == (CallTest("both", ([1, 2], 3), 6), CallTest("both", ([4], 5), 9))


def test_rows_without_a_number_in_a_folder_are_numbered_by_their_place(tmp_path, jsonl):
    row = {key: value for key, value in apps_row(0).items() if key not in ("id", "split")}
    jsonl(row, {**row, "question": "Triple it."}, name="train.jsonl")
    problems = Apps(path=str(tmp_path), validation_share=0).problems("train")
    assert [problem.id for problem in problems] == ["apps/train/0000", "apps/train/0001"]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (apps_row(1, split="dev"), r"line 2 has the split 'dev', expected train or test"),
        (apps_row(1, question=None), r"line 2 has no field 'question'"),
        (apps_row(1, solutions="[1"), r"line 2 has no JSON in 'solutions'"),
        (apps_row(1, input_output=[1]), r"line 2 has list in 'input_output', expected dict"),
        (apps_row(1, input_output={"inputs": "1", "outputs": ["2"]}), r"line 2 has in 'input_output' no lists"),
        (
            apps_row(1, input_output={"fn_name": "f", "inputs": [1], "outputs": [2]}),
            r"line 2 has an input that is no list",
        ),
        (
            apps_row(1, input_output={"fn_name": "f", "inputs": ["x"], "outputs": [2]}),
            r"line 2 has an input that is no list",
        ),
        (
            apps_row(1, input_output={"fn_name": "f", "inputs": ["1"], "outputs": ["x"]}),
            r"line 2 has .* text as input or output that is no JSON",
        ),
        (apps_row(1, tests=["assert f(1 =="]), r"line 2 has a test that is no Python"),
        (apps_row(0), r"line 2 repeats the id apps/train/0000 of .* line 1"),
    ],
)
def test_a_malformed_apps_row_is_told_with_its_line(jsonl, row, message):
    path = jsonl(apps_row(0), row)
    with pytest.raises(ValueError, match=message) as error:
        Apps(path=path)
    assert str(error.value).startswith("benchmark.path: ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"prompt": "docs"}, r"^prompt is 'docs': expected one of doc, chat, paper \(did you mean doc\?\)"),
        ({"limit": 0}, r"^limit is 0: expected null or a whole number of at least 1"),
        ({"path": None, "hub": None}, r"benchmark\.path and benchmark\.hub are both null"),
        ({"validation_share": 1.0}, r"^validation_share is 1\.0"),
        ({"difficulties": "interview"}, r"^difficulties is 'interview': expected a list"),
        ({"path": "nowhere.jsonl"}, r"benchmark\.path: there is no file nowhere\.jsonl"),
    ],
)
def test_wrong_config_values_name_their_key(jsonl, arguments, message):
    with pytest.raises(ValueError, match=message):
        Apps(**{"path": jsonl(apps_row(1)), **arguments})


def test_an_empty_folder_tells_the_layout_it_should_have(tmp_path):
    with pytest.raises(ValueError, match=r"benchmark\.path: .* has no folders train/NUMBER or test/NUMBER"):
        Apps(path=str(tmp_path))
