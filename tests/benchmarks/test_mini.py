"""The procedural benchmark: what it promises of its problems, worked out from the problems alone."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rltf.benchmarks.mini import Mini
from rltf.setup.instantiate import build
from rltf.types import CallTest, Problem, StdioTest

SMALL = {"train": 120, "validation": 40, "test": 60}


@pytest.fixture(scope="module")
def mini() -> Mini:
    return Mini(seed=0, sizes=SMALL, demonstrated_share=1.0)


def judge(problem: Problem, program: str) -> bool:
    """An independent, plain judge of the benchmark's own programs."""
    for test in problem.tests:
        try:
            if isinstance(test, CallTest):
                names: dict = {}
                exec(program, names)
                good = names[test.function](*[list(a) if isinstance(a, list) else a for a in test.args])
                if good != test.expected:
                    return False
            else:
                assert isinstance(test, StdioTest)
                done = run_main(program, test.stdin)
                if done.split() != test.stdout.split():
                    return False
        except Exception:
            return False
    return True


def run_main(program: str, stdin: str) -> str:
    lines = stdin.splitlines()
    out: list[str] = []
    exec(program, {"input": lambda: lines.pop(0), "print": lambda *v: out.append(" ".join(map(str, v)))})
    return "\n".join(out)


def everything(mini: Mini) -> list[Problem]:
    return [p for split in SMALL for p in mini.problems(split)]


def test_references_pass_their_tests(mini):
    assert all(judge(p, p.references[0]) for p in everything(mini))


def test_stdio_references_pass_in_a_real_interpreter(mini):
    problem = next(p for p in mini.problems("test") if p.entry_point is None)
    test = problem.tests[0]
    assert isinstance(test, StdioTest)
    done = subprocess.run(
        [sys.executable, "-I", "-c", problem.references[0]],
        input=test.stdin,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == test.stdout.split()


def test_no_constant_program_passes(mini):
    for p in everything(mini):
        outputs = {repr(t.expected) if isinstance(t, CallTest) else t.stdout for t in p.tests}
        assert len(outputs) > 1, p


def test_no_program_that_gives_back_an_input_passes(mini):
    for p in everything(mini):
        for k in range(4):
            assert not all(
                k < len(t.args) and t.args[k] == t.expected
                if isinstance(t, CallTest)
                else k < len(t.stdin.splitlines()) and t.stdin.splitlines()[k].split() == t.stdout.split()
                for t in p.tests
            ), p


def test_inputs_of_a_problem_differ(mini):
    for p in everything(mini):
        given = [repr(t.args) if isinstance(t, CallTest) else t.stdin for t in p.tests]
        assert len(set(given)) == len(given), p


def test_dropping_the_condition_of_a_branch_fails_the_tests(mini):
    checked = 0
    for p in everything(mini):
        lines = p.references[0].split("\n")
        for i, line in enumerate(lines):
            if line.lstrip().startswith("if "):
                for always in ("True", "False"):
                    changed = [*lines[:i], line[: len(line) - len(line.lstrip())] + f"if {always}:", *lines[i + 1 :]]
                    assert not judge(p, "\n".join(changed)), p
                    checked += 1
    assert checked > 20


def test_same_seed_gives_the_same_problems_and_another_seed_others(mini):
    again = Mini(seed=0, sizes=SMALL, demonstrated_share=1.0)
    assert again.problems("test") == mini.problems("test")
    assert again.problems("train") == mini.problems("train")
    other = {p.statement for p in Mini(seed=1, sizes=SMALL).problems("test")}
    assert other != {p.statement for p in mini.problems("test")}


def test_problems_are_the_same_in_another_process(mini):
    code = (
        "from rltf.benchmarks.mini import Mini\n"
        "print([p.statement for p in Mini(seed=0, sizes={'test': 10}).problems('test')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == repr([p.statement for p in mini.problems("test")[:10]])


def test_a_longer_split_starts_with_the_shorter_one(mini):
    assert Mini(seed=0, sizes={"test": 90}).problems("test")[:60] == mini.problems("test")


def test_ids_and_statements_are_unique(mini):
    problems = everything(mini)
    assert len({p.id for p in problems}) == len(problems)
    assert len({p.statement for p in problems}) == len(problems)


def test_modes_difficulties_and_constructs_are_tagged(mini):
    problems = everything(mini)
    assert {p.difficulty for p in problems} == {"easy", "medium", "hard"}
    tags = Counter(t for p in problems for t in p.tags)
    for tag in ("call", "stdio", "arithmetic", "comparison", "conditional", "loop", "comprehension", "string", "list"):
        assert tags[tag], tag
    for p in problems:
        assert ("call" in p.tags) == (p.entry_point == "f") == all(isinstance(t, CallTest) for t in p.tests)
        assert ("loop" in p.tags) == ("    for " in p.references[0] or "\nfor " in p.references[0])
        assert ("comprehension" in p.tags) == (
            "[x for" in p.references[0] or " for x in" in p.statement.replace("each", "")
        ) or "for each" in p.statement


def test_the_stated_share_of_demonstrations_is_wrong_and_the_others_are_right():
    mini = Mini(seed=3, sizes={"train": 400}, demonstrated_share=1.0, bug_share=0.4)
    wrong = sum(not judge(p, d) for p in mini.problems("train") for d in mini.demonstrations(p))
    assert 0.33 <= wrong / 400 <= 0.47


def test_without_bugs_every_demonstration_is_the_reference():
    mini = Mini(sizes={"train": 40}, demonstrated_share=1.0, bug_share=0.0)
    assert all(mini.demonstrations(p) == p.references for p in mini.problems("train"))


def test_a_problem_without_demonstrations_never_shows_its_reference():
    mini = Mini(sizes={"train": 200}, demonstrated_share=0.3)
    shown = [bool(mini.demonstrations(p)) for p in mini.problems("train")]
    assert 0.2 <= sum(shown) / 200 <= 0.4
    assert all(p.references for p in mini.problems("train"))


def test_several_demonstrations_of_a_problem_can_be_good_and_bad():
    mini = Mini(sizes={"train": 60}, demonstrated_share=1.0, demonstrations_per_problem=4, bug_share=0.5)
    kinds = {tuple(sorted({judge(p, d) for d in mini.demonstrations(p)})) for p in mini.problems("train")}
    assert (False, True) in kinds


def test_the_answer_is_found_again(mini):
    for p in mini.problems("validation"):
        answer = mini.answer(p, p.references[0])
        assert mini.extract(p, answer).program(answer) == p.references[0]


def test_the_prompt_holds_the_statement_and_ends_in_a_line_break(mini):
    problem = mini.problems("test")[0]
    prompt = mini.prompt(problem)
    assert prompt.head + prompt.question + prompt.tail == problem.statement + "\n"


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), tests=st.integers(3, 9), stdio=st.sampled_from([0.0, 0.5, 1.0]))
def test_any_seed_and_shape_gives_problems_whose_references_pass(seed, tests, stdio):
    for p in Mini(seed=seed, sizes={"test": 4}, tests_per_problem=tests, stdio_share=stdio).problems("test"):
        assert len(p.tests) == tests
        assert judge(p, p.references[0])
        if stdio in (0.0, 1.0):
            assert (p.entry_point is None) == (stdio == 1.0)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"sizes": {"training": 5}}, "^sizes.training is 5: expected only the names train, validation, test"),
        ({"sizes": {"train": -1}}, "^sizes.train is -1"),
        ({"difficulties": {"trivial": 1}}, "^difficulties.trivial is 1: expected only the names easy, medium, hard"),
        ({"difficulties": {"easy": 0}}, "^difficulties is {'easy': 0}: expected a frequency above 0"),
        ({"bug_share": 1.5}, "^bug_share is 1.5"),
        ({"stdio_share": -0.1}, "^stdio_share is -0.1"),
        ({"tests_per_problem": 2}, "^tests_per_problem is 2"),
        ({"demonstrations_per_problem": 0}, "^demonstrations_per_problem is 0"),
    ],
)
def test_a_wrong_setting_is_named(arguments, said):
    with pytest.raises(ValueError, match=said):
        Mini(**arguments)


def test_a_wrong_option_is_refused_by_its_path_in_the_config(composed):
    with pytest.raises(
        ValueError, match=r"^benchmark\.bug_share is 1\.5: expected a number of at least 0 and at most 1"
    ):
        build(composed("train", "benchmark=mini", "benchmark.bug_share=1.5"), "benchmark")
