"""What `Mbpp` and `HumanEval` make of small files and of their configs."""

import json
import logging
import sys

import pytest
from benchmark_rows import humaneval_row, mbpp_row

from rltf.benchmarks.apps.benchmark import Apps
from rltf.benchmarks.dataset import DatasetBenchmark
from rltf.benchmarks.humaneval import HumanEval
from rltf.benchmarks.mbpp import Mbpp
from rltf.types import AssertTest, CheckTest, Problem


def test_mbpp_ids_decide_the_split_and_the_first_ten_are_for_prompts(jsonl):
    benchmark = Mbpp(path=jsonl(*[mbpp_row(number) for number in (10, 11, 510, 511, 600, 601, 974)]))
    ids = {split: [problem.id for problem in benchmark.problems(split)] for split in ("train", "validation", "test")}
    assert ids == {
        "test": ["mbpp/11", "mbpp/510"],
        "validation": ["mbpp/511", "mbpp/600"],
        "train": ["mbpp/601", "mbpp/974"],
    }


def test_mbpp_code_loses_its_carriage_returns_and_tabs(jsonl):
    (problem,) = Mbpp(path=jsonl(mbpp_row(601))).problems("train")
    assert problem.references == ("def f(x):\n    return x + 1",)
    assert problem.tests == (AssertTest("assert f(1) == 2"), AssertTest("assert f(2) == 3"))
    assert problem.entry_point == "f"


def test_the_sanitized_file_has_other_field_names_and_imports_for_its_tests(tmp_path):
    row = mbpp_row(601, prompt="Write it.", test_imports=["import math", "import re"])
    del row["text"], row["test_setup_code"]
    file = tmp_path / "sanitized.json"
    file.write_text(json.dumps([row]))
    (problem,) = Mbpp(path=str(file)).problems("train")
    assert problem.statement == "Write it."
    assert problem.setup == "import math\nimport re"


def test_a_setup_brings_the_class_that_only_the_reference_defines(jsonl):
    code = "class Node:\n\tdef __init__(self, data): self.data = data\r\ndef f(node): return node.data"
    row = mbpp_row(11, code=code, test_setup_code="root = Node(len('a'))", test_list=["assert f(root) == 1"] * 2)
    (problem,) = Mbpp(path=jsonl(row)).problems("test")
    exec(problem.setup, scope := {})
    assert scope["root"].data == 1
    assert "f" not in scope


def test_constant_problems_are_counted_and_missing_in_training_alone(jsonl, caplog):
    equal = {"test_list": ["assert f(1) == 0", "assert f(2) == 0"]}
    with caplog.at_level(logging.INFO, "rltf"):
        benchmark = Mbpp(path=jsonl(mbpp_row(11, **equal), mbpp_row(601, **equal), mbpp_row(602)))
    assert [problem.id for problem in benchmark.problems("train")] == ["mbpp/602"]
    assert [problem.id for problem in benchmark.problems("test")] == ["mbpp/11"]
    ((reason, ids),) = benchmark.excluded_ids.items()
    assert ids == ("mbpp/601",)
    assert f"1 {reason}" in caplog.text
    assert "benchmark.keep_constant=true keeps them" in reason


def test_problems_without_tests_are_counted_and_skipped_and_all_skipped_is_an_error(jsonl, caplog):
    empty = mbpp_row(602, test_list=[])
    with caplog.at_level(logging.INFO, "rltf"):
        benchmark = Mbpp(path=jsonl(mbpp_row(601), empty))
    assert benchmark.excluded_ids == {"without tests": ("mbpp/602",)}
    assert len(caplog.messages) == 1
    assert "1 without tests" in caplog.text
    with pytest.raises(ValueError, match=r"benchmark\.path: none of the 1 problems of .*rows\.jsonl has tests that"):
        Mbpp(path=jsonl(empty))


def test_tests_that_check_nothing_are_left_out_and_named(jsonl, caplog):
    pytest_style = mbpp_row(602, test_list=["def test_f():\n    assert f(1) == 2"])
    path = jsonl(mbpp_row(601), pytest_style, mbpp_row(603, test_list=["assert f(1) == 2", "f(2) == 3"]))
    benchmark = Mbpp(path=path)
    assert benchmark.excluded_ids == {"with tests that cannot be judged": ("mbpp/602", "mbpp/603")}
    assert f"mbpp/602 is left out: {path} line 2: its test checks nothing: nothing calls test_f" in caplog.text
    assert f"mbpp/603 is left out: {path} line 3: its test 2 checks nothing: it has no assert" in caplog.text


@pytest.mark.parametrize(
    ("test", "message"),
    [
        ("assert f(1) == 2\n", "does not define the function check"),
        (
            "import unittest\nclass T(unittest.TestCase):\n    def test_1(self):\n        self.assertEqual(f(1), 2)\n",
            "does",
        ),
        ("def check(candidate):\n    pass\n", "checks nothing: it has no assert"),
    ],
)
def test_a_humaneval_file_without_check_functions_is_refused_with_its_line(jsonl, test, message):
    with pytest.raises(ValueError, match=rf"can be judged; .*rows\.jsonl line 1: its test {message}"):
        HumanEval(path=jsonl(humaneval_row(test=test)))


def test_the_loop_of_mbpp_plus_is_a_test_that_prompts_do_not_show(jsonl):
    loop = "\ncases = [[[1], 2], [[2], 3]]\nfor args, expected in cases:\n    assert f(*args) == expected\n"
    benchmark = Mbpp(path=jsonl(mbpp_row(601, test=loop)), prompt="chat")
    (problem,) = benchmark.problems("train")
    assert [test.code for test in problem.tests] == ["assert f(1) == 2", "assert f(2) == 3", loop.strip()]
    assert "assert f(2) == 3\nAnswer" in benchmark.prompt(problem).tail
    assert len(benchmark.examples(problem)) == 2


def test_doc_has_no_demonstration_for_a_program_that_opens_with_an_import(jsonl):
    path = jsonl(mbpp_row(601, code="import re\ndef f(x): return x + 1"), mbpp_row(602))
    for prompt, counts in [("doc", [0, 1]), ("chat", [1, 1]), ("paper", [1, 1])]:
        benchmark = Mbpp(path=path, prompt=prompt)
        assert [len(benchmark.demonstrations(problem)) for problem in benchmark.problems("train")] == counts


def test_a_new_benchmark_is_a_name_and_what_a_row_means(jsonl):
    class Katas(DatasetBenchmark):
        name = "katas"

        def parse_row(self, row):
            tests = tuple(map(AssertTest, row.strings("asserts")))
            return "train", Problem(row.value("id", str), row.value("task", str), tests, entry_point="solve")

    rows = [{"id": "k1", "task": "Add one.", "asserts": ["assert solve(1) == 2", "assert solve(2) == 3"]}]
    katas = Katas(path=jsonl(*rows), hub=None, prompt="doc", limit=None)
    [problem] = katas.problems("train")
    assert katas.prompt(problem).tail.count("assert solve") == 2


def test_limit_keeps_the_first_problems_of_each_split(jsonl):
    path = jsonl(*[mbpp_row(number) for number in (11, 12, 601, 602)])
    assert [problem.id for problem in Mbpp(path=path, limit=1).problems("train")] == ["mbpp/601"]
    assert [problem.id for problem in Mbpp(path=path, limit=1).problems("test")] == ["mbpp/11"]


def test_humaneval_has_a_test_split_only(jsonl):
    benchmark = HumanEval(path=jsonl(humaneval_row()))
    (problem,) = benchmark.problems("test")
    assert problem.tests == (CheckTest("def check(candidate):\n    assert candidate(1) == 2\n", "f"),)
    assert problem.setup == "import math\n\n\n"
    answer = benchmark.answer(problem, problem.references[0])
    assert answer == "    return x + 1\n"
    assert benchmark.extract(problem, answer).program(answer) == problem.references[0]
    for split in ("train", "validation"):
        with pytest.raises(ValueError, match=rf"benchmark=humaneval has no {split} problems in .*, only 1 test"):
            benchmark.problems(split)


@pytest.mark.parametrize("kind", [Apps, Mbpp, HumanEval])
def test_without_a_path_and_the_datasets_package_one_sentence_names_the_path(monkeypatch, kind):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ValueError, match=r"^benchmark\.path is null and \S+ needs the package `datasets`: name"):
        kind()


def test_hub_rows_tell_their_split(tmp_path, monkeypatch):
    pytest.importorskip("datasets", reason="the optional package datasets is not installed")
    from rltf.benchmarks.hub import hub_rows

    (tmp_path / "train.jsonl").write_text(json.dumps(mbpp_row(601)) + "\n")
    (row,) = hub_rows(str(tmp_path))
    assert row.fields["split"] == "train"
    assert row.value("task_id", int) == 601
    with pytest.raises(ValueError, match=r"benchmark\.path is null and .* cannot be fetched"):
        hub_rows(str(tmp_path / "nowhere"))
