"""What each benchmark asks the hub for; a stand-in for the package `datasets` gives rows in the hub's layout."""

import sys
import types

import pytest
from benchmark_rows import humaneval_row, mbpp_row
from test_contest_benchmarks import code_contests_row, leetcode_row, taco_row
from test_library_benchmarks import bigcodebench_row, kodcode_row
from test_livecodebench import row as livecodebench_row
from test_multipl_e import js_row, needs_javascript

from rltf.benchmarks.bigcodebench import BigCodeBench
from rltf.benchmarks.code_contests import CodeContests
from rltf.benchmarks.contests import Contests
from rltf.benchmarks.humaneval_plus import HumanEvalPlus
from rltf.benchmarks.kodcode import KodCode
from rltf.benchmarks.leetcode import LeetCode
from rltf.benchmarks.livecodebench import LiveCodeBench
from rltf.benchmarks.mbpp_plus import MbppPlus
from rltf.benchmarks.multipl_e import MultiplE
from rltf.benchmarks.taco import Taco

DEEPCODER = {"problem": "Double.", "tests": '[{"input": "1", "output": "2"}, {"input": "2", "output": "4"}]'}
BCB = bigcodebench_row()
CASES = [
    (HumanEvalPlus, ("evalplus/humanevalplus", None), {"test": [humaneval_row()]}, {"test": 1}),
    (MbppPlus, ("evalplus/mbppplus", None), {"test": [mbpp_row(11, test="")]}, {"test": 1}),
    (
        LeetCode,
        ("newfacade/LeetCodeDataset", None),
        {"train": [leetcode_row()], "test": [leetcode_row(task_id="b")]},
        None,
    ),
    (Contests, ("agentica-org/DeepCoder-Preview-Dataset", "primeintellect"), {"train": [DEEPCODER]}, {"train": 1}),
    (Taco, ("BAAI/TACO", "ALL"), {"train": [taco_row()], "test": [taco_row()]}, {"train": 1, "test": 1}),
    (CodeContests, ("deepmind/code_contests", None), {"valid": [code_contests_row()]}, {"validation": 1}),
    (KodCode, ("KodCode/KodCode-V1", None), {"train": [kodcode_row()], "incorrect": [kodcode_row(2)]}, {"train": 1}),
    (BigCodeBench, ("bigcode/bigcodebench", None), {"v0.1.3": [BCB, BCB], "v0.1.4": [BCB]}, {"test": 1}),
    pytest.param(
        MultiplE, ("nuprl/MultiPL-E", "humaneval-js"), {"test": [js_row()]}, {"test": 1}, marks=needs_javascript
    ),
]


@pytest.fixture
def hub(monkeypatch):
    """`hub(rows)` makes `datasets` give these rows; returns the list of what it is asked for."""

    def give(splits):
        asked = []
        module = types.ModuleType("datasets")
        module.load_dataset = lambda *args, **options: asked.append((*args, *options.values())) or splits
        monkeypatch.setitem(sys.modules, "datasets", module)
        return asked

    return give


@pytest.mark.parametrize(("kind", "request_", "splits", "sizes"), CASES)
def test_the_data_set_and_its_configuration(hub, kind, request_, splits, sizes):
    asked = hub(splits)
    benchmark = kind(**({"validation_share": 0} if kind in (LeetCode, Contests, Taco) else {}))
    assert asked == [request_]
    found = {split: len(problems) for split, problems in benchmark._splits.items() if problems}
    assert found == (sizes or {"train": 1, "test": 1})


def test_livecodebench_is_read_from_its_files(hub):
    asked = hub({"test": [livecodebench_row(1)], "test2": [livecodebench_row(2)]})
    assert len(LiveCodeBench().problems("test")) == 2
    [(loader, files)] = asked
    assert loader == "json"
    assert files["test6"] == "hf://datasets/livecodebench/code_generation_lite/test6.jsonl"
    assert len(files) == 6


def test_a_version_that_is_not_there_is_named_with_those_that_are(hub):
    hub({"v0.1.3": [BCB], "v0.1.4": [BCB]})
    with pytest.raises(ValueError, match=r"^benchmark.version: \S+ has no v9, only v0.1.3, v0.1.4"):
        BigCodeBench(version="v9")


@pytest.mark.parametrize(
    "kind", [HumanEvalPlus, MbppPlus, LiveCodeBench, LeetCode, Contests, Taco, KodCode, CodeContests]
)
def test_without_the_package_one_sentence_names_it(monkeypatch, kind):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ValueError, match=r"^benchmark\.path is null and \S+ needs the package `datasets`: name"):
        kind()
