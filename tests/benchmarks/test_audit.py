"""`python -m rltf.benchmarks.audit`: what tests notice of mutants, and which references fail."""

import json

import pytest
from benchmark_rows import mbpp_row

from rltf.benchmarks.audit.measure import JudgedMutant, ProblemAudit, audit
from rltf.benchmarks.mutants import Mutant
from rltf.commands.audit import main, summary, table
from rltf.execution import LocalExecutor
from rltf.types import AssertTest, Outcome, Problem, Verdict

MUTANT = Mutant("x", "constant", 1)
PASSED = Verdict(Outcome.PASSED, 3, 3)


def judged(*failed):
    return JudgedMutant(MUTANT, Outcome.WRONG_ANSWER if failed else Outcome.PASSED, failed)


def audited(*mutants, tests=3):
    problem = Problem("p", "", (AssertTest("assert f(1)"),) * tests)
    return ProblemAudit(problem, PASSED, mutants, constant=False)


def test_shares_are_of_mutants_and_needed_tests_are_chosen_greedily():
    # test 0 kills two, test 1 three, test 2 one; the fourth mutant survives
    one = audited(judged(0, 1), judged(0, 1), judged(1, 2), judged())
    assert one.kill_share == 0.75
    assert [one.kill_share_of_first(count) for count in (1, 2, 3)] == [0.5, 0.75, 0.75]
    assert one.needed == 1  # test 1 alone kills all three
    assert audited(judged(0), judged(2)).needed == 2
    assert audited().kill_share is None


def test_a_summary_averages_over_problems():
    first, second = audited(judged(0), judged()), audited(judged(0), judged(1), judged(2), judged(0))
    result = summary([first, second])
    assert result["kill_share"] == pytest.approx((0.5 + 1) / 2)
    assert (result["mutants"], result["killed"], result["all_killed"]) == (6, 5, 1)
    assert result["kill_share_of_first"][1] == pytest.approx((0.5 + 0.5) / 2)
    assert (result["tests_needed"], result["tests_of_problems_with_mutants"]) == (1 + 3, 6)
    assert result["kinds"] == {"constant": [5, 6]}
    assert "killed: 75.0% [50.0%, 100.0%] of a problem's mutants; 50.0% by the first 1" in table(
        {"benchmark": "b", "excluded": {}, **result}
    )


def test_weak_tests_let_mutants_pass_and_strong_ones_do_not():
    weak = Problem("weak", "", (AssertTest("assert f(3) > 0"),), references=("def f(x):\n    return x + 1",))
    strong = Problem("strong", "", (AssertTest("assert f(3) == 4"),), references=weak.references)
    wrong = Problem("wrong", "", strong.tests, references=("def f(x):\n    return x",))
    broken = Problem("broken", "", strong.tests, references=("def f(x):\n    return y",))
    none = Problem("none", "", strong.tests)
    with LocalExecutor(workers=1) as executor:
        results = audit([weak, strong, wrong, broken, none], executor, limit=50)
    assert results[0].kill_share < results[1].kill_share == 1
    assert [len(result.mutants) for result in results[2:]] == [0, 0, 0]
    assert [result.exception for result in results[:3]] == ["", "", "wrong_answer in test 1"]
    assert results[3].exception.startswith("runtime_error in test 1 (NameError: ")
    assert results[4].reference is None


def test_the_command_prints_counts_and_exceptions(jsonl, capsys):
    rows = [mbpp_row(601), mbpp_row(602, code="def f(x): return x + 2"), mbpp_row(603, test_list=["assert f(1)"] * 2)]
    assert main(["mbpp", f"path={jsonl(*rows)}", "keep_constant=true", "--workers", "1"]) == 0
    printed = capsys.readouterr().out
    assert "mbpp: 3 problems, 6 tests" in printed
    assert "references that pass: 2 of 3\n  mbpp/602: wrong_answer in test 1" in printed
    assert "a constant program passes: 1 problems" in printed
    assert "  mbpp/603:" in printed  # whose tests let mutants pass
    assert main([f"mbpp={jsonl(*rows)}", "--json", "--mutants", "0", "--workers", "1"]) == 0
    assert json.loads(capsys.readouterr().out)["references_passed"] == 1


def test_mistakes_are_one_sentence(jsonl, capsys):
    assert main(["mbbp"]) == 2
    assert capsys.readouterr().err == "error: benchmark=mbbp is not known: did you mean mbpp?\n"
    assert main(["mbpp", "pth=x"]) == 2
    assert "benchmark.pth is not known" in capsys.readouterr().err
    assert main([f"mbpp={jsonl(mbpp_row(601))}", "--split", "test"]) == 2
    assert "has no test problems" in capsys.readouterr().err
