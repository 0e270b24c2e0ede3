"""`kodcode` and `bigcodebench`: test modules in the style of pytest and `unittest`."""

import pytest

from rltf.benchmarks.bigcodebench import BigCodeBench
from rltf.benchmarks.kodcode import KodCode
from rltf.execution import LocalExecutor
from rltf.execution.languages import installed_runtimes
from rltf.types import Outcome

MODULE = """\
from solution import add
import pytest

def test_small():
    assert add(1, 2) == 3

@pytest.mark.parametrize("a, b, expected", [(0, 0, 0), (5, 5, 10)])
def test_many(a, b, expected):
    assert add(a, b) == expected
"""
CASES = """\
import unittest
class TestCases(unittest.TestCase):
    def setUp(self):
        self.words = ["b", "a", "b"]
    def test_counts(self):
        self.assertEqual(task_func(self.words), {"a": 1, "b": 2})
    def test_empty(self):
        self.assertEqual(task_func([]), {})
"""


def kodcode_row(number=1, **changes):
    row = {
        "version": "v1.0",
        "style": "instruct",
        "subset": "Prefill",
        "question_id": f"Prefill_{number}_I",
        "question": "Add two numbers.",
        "solution": "def add(a, b):\n    return a + b",
        "test": MODULE,
        "test_info": [{"docstring": "", "function_declaration": "def add(a, b):", "function_name": "add"}],
        "gpt_difficulty": "easy",
    }
    return row | changes


def bigcodebench_row(number=0, **changes):
    header = 'from collections import Counter\n\ndef task_func(words):\n    """\n    Count words.\n    """\n'
    row = {
        "task_id": f"BigCodeBench/{number}",
        "complete_prompt": header,
        "instruct_prompt": "Count words.\nYou should write code starting with:\n```\nfrom collections ...\n```",
        "canonical_solution": "    return dict(Counter(words))",
        "code_prompt": "from collections import Counter\ndef task_func(words):\n",
        "test": CASES,
        "entry_point": "task_func",
        "libs": "['collections']",
    }
    return row | changes


@pytest.fixture(scope="module")
def judge():
    with LocalExecutor(workers=1) as executor:
        yield lambda problem, program: executor.submit(problem.job(program)).result()


def test_each_test_function_of_kodcode_is_a_test(jsonl, judge):
    [problem] = KodCode(path=jsonl(kodcode_row()), validation_share=0, test_share=0).problems("train")
    assert (problem.id, problem.entry_point, len(problem.tests)) == ("kodcode/Prefill_1_I", "add", 2)
    assert judge(problem, problem.references[0]).outcome is Outcome.PASSED
    assert judge(problem, "def add(a, b): return 3").passed == 1


def test_kodcode_splits_by_id_and_reads_the_names_of_its_other_releases(jsonl):
    rows = [kodcode_row(number) for number in range(60)]
    benchmark = KodCode(path=jsonl(*rows), validation_share=0.2, test_share=0.3)
    sizes = {split: len(benchmark.problems(split)) for split in ("train", "validation", "test")}
    assert sum(sizes.values()) == 60
    assert 10 <= sizes["test"] <= 27
    assert 5 <= sizes["validation"] <= 19
    older = kodcode_row(conversation_id="c1", test_code=MODULE, test_entry_point="plus")
    del older["question_id"], older["test"], older["test_info"]
    [problem] = KodCode(path=jsonl(older), validation_share=0, test_share=0).problems("train")
    assert (problem.id, problem.entry_point) == ("kodcode/c1", "plus")


def test_kodcode_chooses_and_counts(jsonl):
    path = jsonl(kodcode_row(1), kodcode_row(2, subset="Leetcode"), kodcode_row(3, test="import solution\n"))
    options = {"validation_share": 0, "test_share": 0}
    benchmark = KodCode(path=path, **options)
    assert list(benchmark.excluded_ids.values()) == [("kodcode/Prefill_3_I",)]
    assert [p.tags for p in KodCode(path=path, subsets=["Leetcode"], **options).problems("train")] == [("Leetcode",)]
    with pytest.raises(ValueError, match=r"has tests that can be judged and a subset of \['Taco'\]"):
        KodCode(path=path, subsets=["Taco"], **options)
    with pytest.raises(ValueError, match=r"^test_share is 0.5: expected less than 1 - validation_share = 0.5"):
        KodCode(path=path, validation_share=0.5, test_share=0.5)
    with pytest.raises(ValueError, match=r"rows.jsonl line 1 has no field 'solution'"):
        KodCode(path=jsonl({k: v for k, v in kodcode_row().items() if k != "solution"}))


def test_each_method_of_a_unittest_class_is_a_test(jsonl, judge):
    [problem] = BigCodeBench(path=jsonl(bigcodebench_row())).problems("test")
    assert len(problem.tests) == 2
    assert judge(problem, problem.references[0]).outcome is Outcome.PASSED
    assert judge(problem, "def task_func(words): return {}").passed == 1


def test_complete_continues_the_header_and_instruct_asks_in_prose(jsonl):
    path = jsonl(bigcodebench_row())
    complete = BigCodeBench(path=path)
    [problem] = complete.problems("test")
    prompt = complete.prompt(problem)
    assert prompt.head + prompt.question + prompt.tail == bigcodebench_row()["complete_prompt"]
    assert complete.answer(problem, problem.references[0]) == "    return dict(Counter(words))"
    instruct = BigCodeBench(path=path, prompt="chat")
    [problem] = instruct.problems("test")
    prompt = instruct.prompt(problem)
    assert prompt.question == bigcodebench_row()["instruct_prompt"]
    assert "Count words." not in prompt.tail


def test_problems_whose_libraries_are_missing_are_counted_by_what_they_need(jsonl, caplog):
    plots = bigcodebench_row(1, libs="['pandas', 'matplotlib']")
    imports = bigcodebench_row(2, test="from sklearn.svm import SVC\n" + CASES)
    benchmark = BigCodeBench(path=jsonl(bigcodebench_row(), plots, imports))
    assert list(benchmark.excluded_ids.values()) == [("BigCodeBench/1", "BigCodeBench/2")]
    assert "line 2: it needs matplotlib, pandas, which the sandbox does not have" in caplog.text
    with pytest.raises(ValueError, match=r"has tests that can be judged and libraries that the sandbox has; .* needs"):
        BigCodeBench(path=jsonl(plots))


@pytest.mark.skipif("numpy" not in installed_runtimes(), reason="no numpy")
def test_numpy_is_there(jsonl, judge):
    cases = CASES.replace("import unittest", "import unittest\nimport numpy as np").replace("[]), {}", "[]), {})  #")
    row = bigcodebench_row(libs="['numpy', 'collections']", test=cases)
    assert len(BigCodeBench(path=jsonl(row)).problems("test")) == 1
