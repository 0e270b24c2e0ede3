"""Several benchmarks as one."""

import re
from dataclasses import replace

import pytest

from rltf.benchmarks.mini import Mini
from rltf.benchmarks.mixed import Mixed
from rltf.commands.overrides import mixed_overrides
from rltf.commands.train import train
from rltf.setup.benchmark import build_benchmark
from rltf.types import Problem, Prompt


class Toy(Mini):
    """Another prompt and other ids than `mini`."""

    def problems(self, split):
        return [Problem(id=f"toy/{split}/{i}", statement="", tests=(), references=("pass",)) for i in range(2)]

    def prompt(self, problem):
        return Prompt("", f"toy prompt of {problem.id}", "")


def small(seed, kind=Mini):
    return kind(seed=seed, sizes={"train": 6, "validation": 2, "test": 3})


@pytest.fixture
def parts():
    return {"mini": small(seed=1), "toy": small(seed=1, kind=Toy)}


def test_training_problems_are_of_all_and_held_out_ones_of_the_first(parts):
    mixed = Mixed(parts)
    assert mixed.name == "mini+toy"
    train = [problem.id for problem in mixed.problems("train")]
    assert train == [problem.id for part in parts.values() for problem in part.problems("train")]
    for split in ("test", "validation"):
        assert mixed.problems(split) == [replace(p, task="mini") for p in parts["mini"].problems(split)]


def test_held_out_problems_can_be_of_all_parts_in_turn(parts):
    held_out = Mixed(parts, held_out="all").problems("test")
    mini, toy = ([p.id for p in part.problems("test")] for part in parts.values())
    assert [problem.id for problem in held_out] == [mini[0], toy[0], mini[1], toy[1], mini[2]]
    assert [problem.task for problem in held_out] == ["mini", "toy", "mini", "toy", "mini"]
    with pytest.raises(ValueError, match="held_out is 'last'"):
        Mixed(parts, held_out="last")


def test_a_problem_keeps_the_prompt_and_rules_of_its_own_benchmark(parts):
    mixed = Mixed(parts)
    toy = mixed.problems("train")[-1]
    held_out = mixed.problems("test")[0]
    assert mixed.prompt(toy) == Prompt("", "toy prompt of toy/train/1", "", task="toy")
    assert mixed.prompt(held_out) == replace(parts["mini"].prompt(held_out), task="mini")
    assert mixed.demonstrations(toy) == parts["toy"].demonstrations(toy)
    answer = parts["mini"].answer(held_out, held_out.references[0])
    assert mixed.answer(held_out, held_out.references[0]) == answer
    assert mixed.extract(held_out, answer) == parts["mini"].extract(held_out, answer)


def test_one_benchmark_or_an_id_twice_is_refused(parts):
    with pytest.raises(ValueError, match=r"^parts is \['mini'\]: expected at least two"):
        Mixed({"mini": parts["mini"]})
    with pytest.raises(ValueError, match="is the id of problems of two benchmarks"):
        Mixed({"mini": parts["mini"], "again": small(seed=1)})


def test_weights_are_of_parts_and_numbers(parts):
    assert Mixed(parts).part_weights() == ()
    assert Mixed(parts, {"toy": 3}).part_weights() == ((6, 1.0), (2, 3.0))
    with pytest.raises(ValueError, match=r"^weights is 'tos': expected names of parts: mini, toy"):
        Mixed(parts, {"tos": 1})
    with pytest.raises(ValueError, match=r"^weights.toy is -1: expected a number of at least 0"):
        Mixed(parts, {"toy": -1})
    with pytest.raises(ValueError, match="expected at least one above 0"):
        Mixed(parts, {"mini": 0, "toy": 0})


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("benchmark=mini+mbpp", ["mini", "mbpp"]),
        ("benchmark=mini+mbpp+apps", ["mini", "mbpp+apps"]),
        ("benchmark=mbpp++humaneval+", ["mbpp+", "humaneval+"]),
        ("benchmark='leetcode+taco'", ["leetcode", "taco"]),
    ],
)
def test_names_that_are_joined_become_parts(override, parts):
    first, *nodes = mixed_overrides([], [override])
    assert first == "benchmark=mixed"
    assert [node.partition("=")[2] for node in nodes] == parts
    assert all(re.fullmatch(r"\+benchmark@benchmark\.parts\.\w+=[\w+]+", node) for node in nodes)


def test_other_names_stay_as_they_are():
    for override in ("benchmark=mbpp+apps", "benchmark=mini+minni", "benchmark=mini+mini", "benchmark=mbpp+", "seed=1"):
        assert mixed_overrides([], [override]) == [override]


def test_a_mix_on_the_command_line_has_the_keys_of_its_parts(composed):
    overrides = mixed_overrides([], ["benchmark=mini+infinitum"])
    keys = ["benchmark.parts.mini.sizes={train: 6, validation: 2, test: 3}", "benchmark.weights={infinitum: 2}"]
    cfg = composed("train", *overrides, *keys, "benchmark.parts.infinitum.sizes={train: 4, validation: 1, test: 1}")
    mixed = build_benchmark(cfg)
    assert mixed.name == "mini+infinitum"
    assert mixed.part_weights() == ((6, 1.0), (4, 2.0))


@pytest.mark.parametrize("curriculum", ["pool", "prefix"])
def test_weights_and_what_else_chooses_problems_are_refused_together(composed, curriculum):
    words = mixed_overrides([], ["benchmark=mini+infinitum"])
    sizes = (
        "benchmark.parts.mini.sizes={train: 8, validation: 2, test: 2}",
        "benchmark.parts.infinitum.sizes={train: 8}",
    )
    config = composed(
        "train", "debug=default", *words, *sizes, "benchmark.weights={mini: 3}", f"curriculum={curriculum}"
    )
    with pytest.raises(ValueError, match=r"^benchmark\.weights says how often a part comes"):
        train(config)
