"""Four tasks on the programs of `mini`."""

from collections import Counter

import pytest

from rltf.benchmarks.mini.bugs import KINDS
from rltf.benchmarks.mini.running import compile_program, run_program
from rltf.benchmarks.mini.tasks import REPAIRABLE, WORDS, MiniTasks
from rltf.types import StdioTest, TextTest
from rltf.validation import OptionError

SIZES = {"train": 80, "validation": 21, "test": 20}


@pytest.fixture(scope="module")
def benchmark():
    return MiniTasks(sizes=SIZES)


def passes(problem, program):
    if isinstance(problem.tests[0], TextTest):
        return program.split() == problem.tests[0].expected.split()
    compiled = compile_program(program)
    if compiled is None:
        return False
    for test in problem.tests:
        if isinstance(test, StdioTest):
            lines = iter(test.stdin.splitlines())
            printed = []
            try:
                exec(
                    compiled,
                    {
                        "input": lambda lines=lines: next(lines),
                        "print": lambda *v, out=printed: out.extend(map(str, v)),
                    },
                )
            except Exception:
                return False
            if " ".join(printed).split() != test.stdout.split():
                return False
        elif run_program(compiled, "call", [test.args]) != [test.expected]:
            return False
    return True


def test_tasks_take_turns_so_that_the_first_n_problems_are_of_all(benchmark):
    for split, size in SIZES.items():
        tasks = [problem.task for problem in benchmark.problems(split)]
        assert len(tasks) == size
        assert tasks == (list(WORDS) * size)[:size]


def test_references_pass_and_what_is_to_be_mended_does_not(benchmark):
    for split in SIZES:
        for problem in benchmark.problems(split):
            assert passes(problem, problem.references[0]), problem.id
            if problem.task == "refinement":
                assert not passes(problem, problem.statement), problem.id


def test_a_script_is_the_function_in_another_form(benchmark):
    problem = next(p for p in benchmark.problems("train") if p.task == "translation")
    assert problem.statement.startswith("def f(")
    assert "input()" in problem.references[0]
    assert problem.entry_point is None


def test_each_program_has_one_english():
    english = {}
    for problem in MiniTasks(sizes={"train": 600}, tasks=["summarisation"]).problems("train"):
        assert english.setdefault(problem.statement, problem.references[0]) == problem.references[0]


def test_prompts_begin_with_the_word_of_their_task_and_name_it(benchmark):
    for problem in benchmark.problems("test")[:4]:
        prompt = benchmark.prompt(problem)
        assert prompt.head == WORDS[problem.task] + "\n"
        assert prompt.task == problem.task
        assert not prompt.training


def test_no_statement_comes_twice_in_a_task_and_splits_share_none(benchmark):
    seen = Counter((p.task, p.statement) for split in SIZES for p in benchmark.problems(split))
    assert max(seen.values()) == 1


def test_problems_are_the_same_again_and_a_longer_split_begins_with_the_shorter():
    short, long = MiniTasks(sizes={"train": 8}), MiniTasks(sizes={"train": 12})
    assert short.problems("train") == long.problems("train")[:8]


def test_mistakes_that_can_be_told_are_kinds_of_mistakes():
    assert REPAIRABLE.keys() <= KINDS.keys()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"tasks": ["generation", "poetry"]}, "tasks is"),
        ({"tasks": "generation"}, "tasks is"),
        ({"sizes": {"dev": 3}}, "sizes.dev is 3: expected only the names train, validation, test"),
        ({"difficulties": {"easy": 0}}, "a frequency above 0 of at least one"),
        ({"tests_per_problem": 2}, "tests_per_problem is 2"),
    ],
)
def test_mistakes_are_one_sentence(options, sentence):
    with pytest.raises(OptionError, match=sentence):
        MiniTasks(**options)
