"""The two files of docs/mining.md differ by their tests alone."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from rltf.benchmarks.mined import Mined
from rltf.mining.job import MINED_FILE, Mine
from rltf.types import Outcome, Sampling

SCRIPT = Path(__file__).parents[2] / "docs" / "results" / "mining" / "mini.py"


@pytest.fixture(scope="module")
def arms(pools, tmp_path_factory):
    folder = tmp_path_factory.mktemp("arms")
    run("functions", folder / "mini.jsonl")
    Mine(source=str(folder / "mini.jsonl"))(SimpleNamespace(executor=pools[0]), Sampling(), 1, folder)
    run("arms", folder / MINED_FILE, folder)
    return [Mined(str(folder / f"{arm}.jsonl"), "task", None, 0, 0) for arm in ("mined", "official")]


def run(command, *paths):
    words = [sys.executable, str(SCRIPT), command, *map(str, paths), "--problems", "20"]
    subprocess.run(words, check=True, env={"PYTHONPATH": str(SCRIPT.parents[3])})


def test_problems_and_demonstrations_are_the_same_and_references_pass_both(arms, pools):
    mined, official = (list(benchmark.problems("train")) for benchmark in arms)
    assert len(mined) > 10
    for one, other in zip(mined, official, strict=True):
        assert (one.id, one.statement, one.demonstrations) == (other.id, other.statement, other.demonstrations)
        assert one.tests != other.tests
        for problem in (one, other):
            assert pools[0].submit(problem.job(problem.references[0])).result().outcome is Outcome.PASSED


def test_a_demonstration_is_the_answer_that_mini_would_have(arms):
    problem = arms[0].problems("train")[0]
    assert json.dumps(arms[0].demonstrations(problem)) == json.dumps(problem.demonstrations)
    assert arms[0].answer(problem, problem.demonstrations[0]) == problem.demonstrations[0]
    assert not problem.statement.startswith('"""')
