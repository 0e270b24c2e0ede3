"""`python -m rltf.benchmarks.decontaminate`: training problems that repeat problems of evaluation sets."""

import json

import pytest
from benchmark_rows import humaneval_row, mbpp_row

from rltf.benchmarks.decontaminate.overlap import Overlap, overlaps, word_runs
from rltf.commands.decontaminate import main
from rltf.types import Problem


def problem(name, statement, *references):
    return Problem(name, statement, (), references=references)


TEN = "one two three four five six seven eight nine ten"


def test_the_share_is_of_the_evaluation_problems_runs():
    # ten words have seven runs of four; the first seven words have four of them
    train = [problem("t", "One, two: three four five six seven, eleven twelve")]
    [found] = overlaps(train, [problem("e", TEN)], n=4, share=0.5)
    assert found == Overlap("t", "e", pytest.approx(4 / 7), same_solution=False)
    assert list(overlaps(train, [problem("e", TEN)], n=4, share=0.6)) == []
    assert list(overlaps(train, [problem("e", TEN)], n=8, share=0.1)) == []


def test_a_short_statement_is_compared_as_a_whole():
    assert word_runs("Sort them all", 8) == {("sort", "them", "all")}
    train = [
        problem("inside", f"{TEN} sort them all {TEN}"),
        problem("same", "sort THEM all"),
        problem("no", "sort all"),
    ]
    assert [found.train_id for found in overlaps(train, [problem("e", "Sort them all.")], n=8, share=1)] == [
        "inside",
        "same",
    ]


def test_asserts_that_a_statement_shows_are_no_part_of_the_task():
    shown = f"{TEN}\nassert f(1) == 2\nassert f(2, 3, 4, 5, 6) == 7"
    [found] = overlaps([problem("t", TEN)], [problem("e", shown)], n=4, share=1)
    assert found.share == 1


def test_a_frame_that_many_have_in_common_counts_for_none():
    frame = "write a function that returns what is asked for here"
    evaluation = [problem(f"e{number}", f"{frame} number{number}") for number in range(20)]
    assert list(overlaps([problem("t", frame)], evaluation, n=4, share=0.1)) == []
    assert [found.eval_id for found in overlaps([problem("t", f"{frame} number3")], evaluation, n=4, share=0.9)] == [
        "e3"
    ]


def test_a_solution_counts_by_its_form():
    first = "def f(xs):\n    '''Doc.'''\n    total = 0\n    for x in xs:\n        total += x\n    return total"
    second = "def g(a):\n    n = 0  # sum\n    for i in a: n += i\n    return n"
    other = second.replace("n += i", "n -= i")
    evaluation = [problem("e", "Add.", first)]
    [found] = overlaps([problem("same", "?", second), problem("other", "?", other)], evaluation, n=8, share=0.3)
    assert found == Overlap("same", "e", 0.0, same_solution=True)
    short = problem("e", "Add.", "def f(x): return x + 1")
    assert list(overlaps([problem("t", "?", "def g(y): return y + 1")], [short], n=8, share=0.3)) == []


def test_bad_numbers_are_refused():
    with pytest.raises(ValueError, match=r"^n is 1: expected a whole number of at least 2"):
        list(overlaps([], [], n=1, share=0.3))
    with pytest.raises(ValueError, match=r"^share is 0: expected a number above 0 and at most 1"):
        list(overlaps([], [], n=8, share=0))


def test_the_command_names_repeats_and_writes_their_ids(jsonl, capsys, tmp_path):
    train = jsonl(mbpp_row(601, text=f"{TEN} again"), mbpp_row(602, text="Reverse the text."), name="train.jsonl")
    header = f'def f(x):\n    """{TEN}"""\n'
    evaluation = jsonl(humaneval_row(prompt=header), name="eval.jsonl")
    ids = tmp_path / "ids.txt"
    assert main([f"mbpp={train}", "--against", f"humaneval={evaluation}", "--write", str(ids)]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("2 training problems; a problem repeats another with 30% of its runs of 8 words\n")
    assert "humaneval: 1 training problems repeat 1 of 1; 0 have a solution in common\n  mbpp/601 repeats" in printed
    assert ids.read_text() == "mbpp/601\n"
    assert main([f"mbpp={train}", "--against", f"humaneval={evaluation}", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["humaneval"]["overlaps"][0]["train"] == "mbpp/601"
    assert main([f"mbpp={train}", "--against", "humanevil"]) == 2
    assert capsys.readouterr().err == "error: benchmark=humanevil is not known: did you mean humaneval or humaneval+?\n"
