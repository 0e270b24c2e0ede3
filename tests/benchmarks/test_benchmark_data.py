"""Facts about the real files, from their README and from the files themselves."""

import ast
import gzip
import json
import re

import pytest

from rltf.benchmarks.apps.benchmark import Apps
from rltf.benchmarks.apps.tests import call_tests
from rltf.benchmarks.asserts import call_test
from rltf.benchmarks.constant import constant_passes
from rltf.benchmarks.humaneval import HumanEval
from rltf.benchmarks.mbpp import Mbpp
from rltf.types import CallTest


def test_mbpp_has_its_official_splits_less_four_constant_training_problems(shared_data):
    benchmark = Mbpp(path=str(shared_data / "mbpp.jsonl"))
    assert [len(benchmark.problems(split)) for split in ("train", "validation", "test")] == [374 - 4, 90, 500]
    ((_, ids),) = benchmark.excluded_ids.items()
    assert ids == ("mbpp/667", "mbpp/674", "mbpp/816", "mbpp/899")


def test_sanitized_mbpp_has_120_43_257(shared_data):
    benchmark = Mbpp(path=str(shared_data / "mbpp_sanitized.json"))
    assert [len(benchmark.problems(split)) for split in ("train", "validation", "test")] == [120, 43, 257]


def test_mbpp_entry_points_are_functions_of_the_reference(shared_data):
    for file in ("mbpp.jsonl", "mbpp_sanitized.json"):
        benchmark = Mbpp(path=str(shared_data / file))
        for split in ("train", "validation", "test"):
            for problem in benchmark.problems(split):
                assert re.search(rf"^def {problem.entry_point} ?\(", problem.references[0], re.MULTILINE), problem.id
                assert "\r" not in problem.references[0]


def test_mbpp_doc_prompts_are_made_of_the_raw_row(shared_data):
    rows = {row["task_id"]: row for row in json.loads((shared_data / "mbpp_sanitized.json").read_text())}
    benchmark = Mbpp(path=str(shared_data / "mbpp_sanitized.json"), prompt="doc")
    for problem in benchmark.problems("test"):
        row = rows[int(problem.id.removeprefix("mbpp/"))]
        prompt = benchmark.prompt(problem)
        lines = ['"""', row["prompt"], *row["test_list"][:3], '"""', ""]
        assert prompt.head + prompt.question + prompt.tail == "\n".join(lines)


def test_every_prompt_of_mbpp_shows_three_asserts(shared_data):
    benchmark = Mbpp(path=str(shared_data / "mbpp.jsonl"))
    for split in ("train", "validation", "test"):
        assert all(benchmark.prompt(problem).tail.count("\nassert") == 3 for problem in benchmark.problems(split))


def test_humaneval_programs_go_through_answer_and_back(shared_data):
    for prompt in ("doc", "chat", "paper"):
        benchmark = HumanEval(path=str(shared_data / "humaneval.jsonl.gz"), prompt=prompt)
        assert len(benchmark.problems("test")) == 164
        for problem in benchmark.problems("test"):
            (program,) = benchmark.demonstrations(problem)
            answer = benchmark.answer(problem, program)
            assert benchmark.extract(problem, answer).program(answer) == program


def test_a_constant_passes_36_of_the_2676_apps_functions(shared_data):
    """Of 39 with equal JSON outputs, 3 have more asserts, which differ (test/0714, test/2556, train/4418)."""
    path = str(shared_data / "apps" / "apps_function.jsonl.gz")
    benchmark = Apps(path=path, validation_share=0, keep_constant=True)
    problems = [*benchmark.problems("train"), *benchmark.problems("test")]
    assert len(problems) == 2676
    assert sum(map(constant_passes, problems)) == 36


def test_calls_made_of_asserts_equal_the_json_calls_of_the_same_row(shared_data):
    compared = 0
    for line in gzip.decompress((shared_data / "apps" / "apps_function.jsonl.gz").read_bytes()).splitlines():
        row = json.loads(line)
        packed = row["input_output"]
        if len(packed["inputs"]) != len(row["tests"]) or not all(
            isinstance(call_test(t), CallTest) for t in row["tests"]
        ):
            continue
        plain = [value for value in packed["outputs"] if not (isinstance(value, list) and len(value) == 1)]
        if plain and packed["fn_name"] == call_test(row["tests"][0]).function:
            expected = call_tests(packed["fn_name"], packed["inputs"], packed["outputs"], row["starter_code"])
            assert tuple(map(call_test, row["tests"])) == expected, row["id"]
            compared += 1
    assert compared > 2000


def test_apps_call_results_agree_with_the_return_types_of_their_starters(shared_data):
    benchmark = Apps(path=str(shared_data / "apps" / "apps_original.jsonl.gz"), validation_share=0, keep_constant=True)
    problems = {problem.id: problem for split in ("train", "test") for problem in benchmark.problems(split)}
    assert [test.expected for test in problems["apps/train/4184"].tests][:3] == [False, True, True]  # [[False], ...]
    assert [test.expected for test in problems["apps/train/2404"].tests] == [9]  # [9]
    assert problems["apps/train/3616"].tests[0].expected == [3, 1]
    assert len(problems) == 137


def test_leetcode_and_contests_load_as_apps(shared_data):
    leetcode = Apps(path=str(shared_data / "leetcode" / "leetcode_train.jsonl.gz"), prompt="doc", keep_constant=True)
    problems = [*leetcode.problems("train"), *leetcode.problems("validation")]
    assert len(problems) == 1836
    for problem in problems[:200]:
        ast.parse(leetcode.prompt(problem).answer + "self): ...")
    contests = Apps(path=str(shared_data / "contests" / "contests_stdin.jsonl.gz"))
    assert len(contests.problems("test")) == 573
    with pytest.raises(ValueError, match=r"has no train problems in .*, only 573 test"):
        contests.problems("train")


def test_a_file_of_another_kind_is_told_its_first_line(shared_data):
    with pytest.raises(
        ValueError, match=r"apps_test_example_io.jsonl.gz line 1 has no field 'split', only id, example_io"
    ):
        Apps(path=str(shared_data / "apps" / "apps_test_example_io.jsonl.gz"))
    with pytest.raises(ValueError, match=r"mbpp.jsonl line 1 has no field 'prompt'"):
        HumanEval(path=str(shared_data / "mbpp.jsonl"))
