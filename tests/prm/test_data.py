"""Labels of scripted programs: what is asked, in how many calls, and against brute force."""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "inference"))
from scripted_search import Letters, OneExample, Scripted, Watched, pipeline_of

from rltf.prm.data import PrmData
from rltf.prm.lines import program_steps
from rltf.types import Sampling

GOOD = ["def f(x):", "    a = x", "    b = 1", "    c = a + b", "    return c"]
"""Of which any first lines can be completed."""


def broken(bad):
    """The program with a wrong line in place of line `bad` (1-based), behind which nothing helps."""
    return "\n".join([*GOOD[: bad - 1], "    return 0" if bad > 1 else "def g(x):", *GOOD[bad:]])


class Completes(Scripted):
    """First programs from the script; completes a prefix rightly, in the last of its draws only."""

    def script(self, policy, request, draw, given):
        if not given:
            return super().script(policy, request, draw, given)
        rest = "\n".join(GOOD)
        right = rest.startswith(given)
        return (rest if right and draw == max(request.draws) else given + "\n    return None\n", -0.1)


@pytest.fixture(scope="module")
def executor():
    watched = Watched()
    yield watched
    watched.close()


def label(names, scripts, executor, folder, completions=2):
    benchmark = OneExample(*names)
    sampler = Completes(policy=scripts)
    pipeline = pipeline_of(benchmark, sampler, executor)
    found = PrmData(None, samples=1, completions=completions)(pipeline, Sampling(max_new_tokens=99), 0, folder)
    rows = [json.loads(line) for line in (folder / "prm_data.jsonl").read_text().splitlines()]
    return found, rows, sampler


def test_labels_are_those_of_the_known_first_bad_line_and_problems_share_rounds(executor, tmp_path):
    names = [f"p{bad}" for bad in range(1, 6)]
    scripts = {f"p{bad}": [(broken(bad), -0.1)] for bad in range(1, 6)}
    found, rows, sampler = label(names, scripts, executor, tmp_path)
    for bad, row in enumerate(rows, start=1):
        assert row["labels"] == [1.0] * (bad - 1) + [-1.0] * (6 - bad)
        assert row["asked"] <= 3  # ceil(log2(5 + 1))
        text = row["answer"]
        assert [text[:end].count("\n") for end in row["ends"]] == [0, 1, 2, 3, 4]
        assert [text[:end].splitlines()[-1] for end in row["ends"]] == text.splitlines()
    # One call for the programs, then one for each round, with a prefix of every program that is still searched.
    assert [len(requests) for _, requests in sampler.requests][:2] == [5, 5]
    assert len(sampler.requests) <= 1 + 3
    assert found["asked"] == sum(row["asked"] for row in rows)
    assert found["good_share"] == (0 + 1 + 2 + 3 + 4) / 25


def test_a_program_that_passes_is_good_to_its_end_and_nobody_asks(executor, tmp_path):
    text = "\n".join([GOOD[0], "    # remark", *GOOD[1:]])
    found, [row], sampler = label(["a"], {"a": [(text, -0.1)]}, executor, tmp_path)
    assert row["labels"] == [1.0] * 5
    assert (found["asked"], len(sampler.requests)) == (0, 1)


def test_completions_of_a_prefix_are_drawn_under_numbers_of_their_own_and_keep_it_verbatim(executor, tmp_path):
    _, _, sampler = label(["a"], {"a": [(broken(3), -0.1)]}, executor, tmp_path, completions=3)
    for _, [request] in sampler.requests[1:]:
        given = "".join(map(chr, request.prefix_ids))
        assert request.draws == (1, 2, 3)
        assert broken(3).startswith(given)
        assert given.splitlines()[-1] in broken(3).splitlines()


def test_the_letters_of_the_script_end_lines_where_the_text_does():
    text = broken(2)
    ids = tuple(map(ord, text))
    from rltf.types import FinishReason, Program

    program = Program("p", text, (1,), ids, Letters().decode(ids)[1], (0.0,) * len(ids), FinishReason.EOS)
    assert [text[: step.end] for step in program_steps(program)] == [
        "\n".join(text.split("\n")[:n]) for n in range(1, 6)
    ]


def test_numbers_below_one_are_refused():
    with pytest.raises(ValueError, match=r"^completions is 0: expected a whole number of at least 1"):
        PrmData(completions=0)
