"""HumanEval+ and MBPP+: programs beside the reference on many inputs, by evalplus's rules."""

import json

import pytest
from benchmark_rows import humaneval_row, mbpp_row

from rltf.benchmarks.differential import differential_check, literal, shaped
from rltf.benchmarks.humaneval_plus import HumanEvalPlus
from rltf.benchmarks.mbpp_plus import MbppPlus, example_arguments
from rltf.execution import LocalExecutor
from rltf.types import AssertTest, Outcome


def plus_row(**changes):
    row = {
        "task_id": "Mbpp/2",
        "prompt": "'''\nAdd one to all.\n'''",
        "entry_point": "f",
        "canonical_solution": "\nfrom math import *\ndef f(xs):\n\treturn tuple(x + 1 for x in xs)\n",
        "base_input": [[[1, 2]]],
        "plus_input": [[[]], [[5]]],
        "atol": 0,
        "assertion": "assert f((1, 2)) == (2, 3)\nassert f((4,)) == (5,)",
    }
    return row | changes


def humaneval_plus_row(**changes):
    return humaneval_row(base_input=[[1]], plus_input=[[2.5], [-3]], atol=0, contract="") | changes


def check(reference, inputs, candidate, function="f", tolerance=0.0):
    scope = {}
    exec(differential_check(reference, function, inputs, tolerance), scope)
    scope["check"](candidate)


@pytest.fixture(scope="module")
def judge():
    with LocalExecutor(workers=1) as executor:
        yield lambda problem, program: executor.submit(problem.job(program)).result()


def test_a_release_of_mbpp_plus_has_base_and_added_inputs_as_two_tests(jsonl):
    benchmark = MbppPlus(path=jsonl(plus_row(), plus_row(task_id="Mbpp/601")))
    first, second = benchmark.problems("test")
    assert (first.id, second.id, len(first.tests)) == ("mbpp/2", "mbpp/601", 2)
    assert first.statement == "Add one to all.\nassert f((1, 2)) == (2, 3)\nassert f((4,)) == (5,)"
    assert benchmark.examples(first) == (AssertTest("assert f((1, 2)) == (2, 3)"), AssertTest("assert f((4,)) == (5,)"))
    assert "_INPUTS = [[(1, 2)]]" in first.tests[0].code
    assert "_INPUTS = [[()], [(5,)]]" in first.tests[1].code


def test_mbpp_ids_decide_the_split_where_that_is_asked_for(jsonl):
    benchmark = MbppPlus(
        path=jsonl(plus_row(), plus_row(task_id="Mbpp/11"), plus_row(task_id="Mbpp/601")), splits="mbpp"
    )
    assert [problem.id for problem in benchmark.problems("test")] == ["mbpp/11"]
    assert [problem.id for problem in benchmark.problems("train")] == ["mbpp/601"]


def test_the_rows_of_the_hub_are_read_too(jsonl):
    loop = "for x, y in [(1, 2), (5, 6)]:\n    assert f(x) == y"
    [problem] = MbppPlus(path=jsonl(mbpp_row(601, test=loop))).problems("test")
    assert [test.code for test in problem.tests] == ["assert f(1) == 2", "assert f(2) == 3", loop]
    check_code = "def check(candidate):\n    assert candidate(1) == 2\n    assert candidate(7) == 8\n"
    [problem] = HumanEvalPlus(path=jsonl(humaneval_row(test=check_code))).problems("test")
    assert [test.code for test in problem.tests] == [check_code]


def test_programs_are_judged_beside_the_reference(jsonl, judge):
    [problem] = MbppPlus(path=jsonl(plus_row())).problems("test")
    assert judge(problem, problem.references[0]).outcome is Outcome.PASSED
    listed = judge(problem, "def f(xs): return [x + 1 for x in xs]")
    assert (listed.outcome, listed.passed) == (Outcome.WRONG_ANSWER, 0)
    short = judge(problem, "def f(xs): return (2, 3) if len(xs) == 2 else ()")
    assert (short.outcome, [test.status for test in short.tests]) == (
        Outcome.WRONG_ANSWER,
        [Outcome.PASSED, Outcome.WRONG_ANSWER],
    )
    assert judge(problem, "def f(xs): return xs[5]").error.type == "IndexError"


def test_a_release_of_humaneval_plus_and_a_file_of_more_inputs(jsonl, judge, tmp_path):
    [problem] = HumanEvalPlus(path=jsonl(humaneval_plus_row())).problems("test")
    assert len(problem.tests) == 2
    assert judge(problem, problem.references[0]).outcome is Outcome.PASSED
    assert judge(problem, "def f(x): return 2 if x == 1 else round(x) + 1").passed == 1
    inputs = tmp_path / "inputs.jsonl"
    inputs.write_text(json.dumps({"task_id": "HumanEval/0", "inputs": [[3], [4]]}) + "\n")
    [problem] = HumanEvalPlus(path=jsonl(humaneval_row()), inputs=str(inputs)).problems("test")
    assert [test.code.startswith("def check") for test in problem.tests] == [True, False]
    assert judge(problem, "def f(x): return 2").passed == 1


def test_floats_are_near_by_a_millionth_and_integers_by_nothing():
    check("def f(x): return x / 3", [[1]], lambda x: 0.3333335)
    with pytest.raises(AssertionError, match="input 1"):
        check("def f(x): return x / 3", [[1]], lambda x: 0.33334)
    with pytest.raises(AssertionError):
        check("def f(x): return x", [[1000]], lambda x: 1000.0001)
    check("def f(x): return [x / 3]", [[1]], lambda x: [0.3333334])
    with pytest.raises(AssertionError):  # another type
        check("def f(x): return [x / 3]", [[1]], lambda x: (0.3333334,))
    check("def f(x): return [x, x]", [[1]], lambda x: [1.05, 0.95], tolerance=0.1)


def test_inputs_on_which_the_reference_raises_are_no_inputs():
    check("def f(x): return 1 // x", [[0], [1]], lambda x: 1)


def test_a_task_that_is_called_check_and_one_that_calls_itself():
    check("def check(n): return 1 if n == 0 else n * check(n - 1)", [[4]], lambda n: 24, function="check")


def test_an_argument_that_the_program_changes_is_whole_for_the_reference():
    check("def f(xs): return sum(xs)", [[[1, 2]]], lambda xs: sum(xs) if xs.clear() is None and xs else 3)


@pytest.mark.parametrize(
    ("function", "reference", "inputs", "right", "wrong"),
    [
        ("find_zero", "def find_zero(xs): return 1.0", [[[-2, 2]]], 1.00001, 1.1),  # -2 + 2x at 1.00001 is 0.00002
        ("similar_elements", "def similar_elements(a, b): return (1, 2)", [[(1, 2), (2, 1)]], (2, 1), (1,)),
        ("sum_div", "def sum_div(n): return 5", [[6]], 0, 4),
        ("check_str", "def check_str(s): return True", [["a"]], "match", None),
        # base 3, height 2: the slant is sqrt(1.5**2 + 2**2) = 2.5, the surface 9 + 2 * 3 * 2.5 = 24
        ("surface_Area", "def surface_Area(b, h): return 21", [[3, 2]], 24, 25),
        ("digit_distance_nums", "def digit_distance_nums(a, b): return 0", [[123, 256]], 7, 6),  # 1 + 3 + 3
    ],
)
def test_tasks_with_rules_of_their_own(function, reference, inputs, right, wrong):
    tolerance = 1e-4 if function in ("find_zero", "surface_Area") else 0.0
    check(reference, inputs, lambda *_: right, function, tolerance)
    with pytest.raises(AssertionError):
        check(reference, inputs, lambda *_: wrong, function, tolerance)


def test_json_values_take_the_shape_of_an_example():
    assert shaped([[1], [[2, 3]]], [{1}, [(0, 0)]]) == [{1}, [(2, 3)]]
    assert shaped([[[1]]], [{0}]) == [[[1]]]  # a set holds no lists
    assert shaped("a", 1) == "a"
    assert example_arguments("assert isclose(f([1], 2.5), 1)", "f") == ([1], 2.5)
    assert example_arguments("assert f(x) == 1", "f") is None
    assert literal({1: {"a"}, 2: float("-inf"), 3: (1,)}) == "{1: {'a'}, 2: float('-inf'), 3: (1,)}"


def test_bad_rows_are_named_by_file_and_line(jsonl):
    with pytest.raises(ValueError, match=r"rows.jsonl line 1 has the task_id 'x/2', expected Mbpp/NUMBER"):
        MbppPlus(path=jsonl(plus_row(task_id="x/2")))
    with pytest.raises(ValueError, match=r"rows.jsonl line 2 has no list of argument lists in 'plus_input'"):
        MbppPlus(path=jsonl(plus_row(), plus_row(task_id="Mbpp/3", plus_input=[1])))
    with pytest.raises(ValueError, match=r"rows.jsonl line 1 has 'small' in 'atol', expected a number of at least 0"):
        MbppPlus(path=jsonl(plus_row(atol="small")))
    with pytest.raises(ValueError, match=r"^splits is 'official': expected all or mbpp"):
        MbppPlus(path=jsonl(plus_row()), splits="official")


def test_a_task_that_anything_solves_is_left_out_and_counted(jsonl):
    row = plus_row(
        task_id="Mbpp/164", entry_point="are_equivalent", canonical_solution="def are_equivalent(a): return 1"
    )
    benchmark = MbppPlus(path=jsonl(plus_row(), row))
    assert list(benchmark.excluded_ids.values()) == [("mbpp/164",)]
