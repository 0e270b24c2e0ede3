"""Failed programs as tasks: what the repair model reads, and what it learns from."""

import json

import pytest
from scripted_search import CRASH, RIGHT, WRONG, OneExample

from rltf.benchmarks.humaneval import HumanEval
from rltf.benchmarks.prompts import FORMATS, Completion
from rltf.inference.repair import MAX_MESSAGE_CHARACTERS, Failure, Repairs, repair_prompt
from rltf.types import AssertTest, Problem

ERROR = {"type": "NameError", "message": "name 'y' is not defined", "line": 1, "end_line": 1, "category": "line"}


@pytest.fixture
def run(tmp_path):
    def write(*rows):
        lines = (
            json.dumps({"problem_id": problem, "program": text, "outcome": outcome, "error": error})
            for problem, text, outcome, error in rows
        )
        (tmp_path / "rollouts.jsonl").write_text("".join(line + "\n" for line in lines))
        return str(tmp_path)

    return write


NAMES = [f"p{i}" for i in range(60)]


def every(outcome="wrong_answer"):
    return [(name, f"{WRONG}  # {name}", outcome, None) for name in NAMES]


def test_repairs_are_the_newest_different_failures_and_teach_the_reference(run):
    rows = [
        ("p1", "oldest", "wrong_answer", None),
        ("p1", CRASH, "runtime_error", ERROR),
        ("p1", RIGHT, "passed", None),
        ("p1", "oldest", "wrong_answer", None),  # drawn again: now the newest but one
        ("unknown", "x", "wrong_answer", None),
        *every(),
    ]
    repairs = Repairs(OneExample(*NAMES), run(*rows), per_problem=2)
    tasks = {task.id: task for split in ("train", "validation", "test") for task in repairs.problems(split)}
    assert len(tasks) == 61
    mine = [repairs.prompt(tasks[f"p1/repair/{i}"]).question for i in (0, 1)]
    assert mine == [
        "# This program fails: wrong_answer\n# oldest\n# Its task:\nAdd one (p1).",
        f"# This program fails: wrong_answer\n# {WRONG}  # p1\n# Its task:\nAdd one (p1).",
    ]
    assert all(repairs.demonstrations(task) == (RIGHT,) for task in tasks.values())
    assert repairs.name == "one_example/repair"


def test_failures_of_one_problem_stay_in_one_split_whatever_else_the_run_has(run):
    some = Repairs(OneExample(*NAMES), run(*every()), held_out=0.5)
    rows = [(name, f"other {i}", "timeout", None) for i in range(2) for name in NAMES]
    more = Repairs(OneExample(*NAMES), run(*every(), *rows), held_out=0.5)

    def places(repairs):
        return {
            task.id.split("/")[0]: split
            for split in ("train", "validation", "test")
            for task in repairs.problems(split)
        }

    assert places(some) == places(more)
    assert len(more.problems("train")) == 3 * len(some.problems("train"))
    counts = [len(some.problems(split)) for split in ("train", "validation", "test")]
    assert sum(counts) == 60
    assert 20 <= counts[0] <= 40


def test_the_error_is_told_in_one_line_of_bounded_length():
    failure = Failure(CRASH, "runtime_error", "ValueError", "a\n" * 500, 1)
    first, *others = failure.report().splitlines()
    assert first.startswith("# This program fails: runtime_error, ValueError: a a a")
    assert len(first) < MAX_MESSAGE_CHARACTERS + 70
    assert others == [f"# {CRASH}", "# Its task:"]


@pytest.mark.parametrize("style", [*FORMATS.values(), Completion()], ids=lambda s: type(s).__name__)
def test_in_every_format_the_report_stands_before_the_question_and_the_answer_is_read_as_ever(style):
    starter = "def f(x):\n    '''Add one.'''\n"
    problem = Problem("p", "Add one.", (AssertTest("assert f(1) == 2"),), entry_point="f", starter=starter)
    plain = style.prompt(problem)
    asked = repair_prompt(plain, Failure(CRASH, "runtime_error", "NameError", "no y", 1))
    assert (asked.head, asked.tail, asked.answer, asked.stop) == (plain.head, plain.tail, plain.answer, plain.stop)
    assert asked.question.endswith(plain.question)
    assert CRASH in asked.question
    if isinstance(style, Completion):
        compile(asked.head + asked.question + asked.tail, "prompt", "exec")


def test_mistakes_are_named(run, tmp_path):
    with pytest.raises(ValueError, match=r"benchmark\.run: .*rollouts\.jsonl cannot be read"):
        Repairs(OneExample("a"), str(tmp_path / "absent"))
    with pytest.raises(ValueError, match=r"0 failed programs of 0 problems .* none for the train split"):
        Repairs(OneExample("a"), run(("a", RIGHT, "passed", None)))
    with pytest.raises(ValueError, match=r"^held_out is 1: expected a number above 0 and below 1"):
        Repairs(OneExample("a"), run(*every()), held_out=1)


def test_humaneval_prompts_stay_code(shared_data):
    benchmark = HumanEval(path=str(shared_data / "humaneval.jsonl.gz"))
    for problem in benchmark.problems("test")[:20]:
        prompt = repair_prompt(benchmark.prompt(problem), Failure("x = '''\n", "syntax_error", "SyntaxError", "eof", 1))
        compile(prompt.head + prompt.question + prompt.tail + "    pass\n", problem.id, "exec")
