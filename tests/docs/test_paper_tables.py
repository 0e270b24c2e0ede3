"""The index of papers and the list of differences have what the code cites and says."""

from __future__ import annotations

import re
import sys

import pytest
from pages import ROOT

from rltf.commands.overrides import train_overrides

sys.path.insert(0, str(ROOT / "docs"))
import paper_tables


def test_every_paper_that_the_code_cites_is_in_the_index():
    assert paper_tables.cited_papers() - set(paper_tables.PAPERS) == set()
    assert len(paper_tables.cited_papers()) > 20


def test_every_module_that_deviates_has_an_option_that_reaches_it():
    modules = [file for file, _, _ in paper_tables.modules_with_deviations()]
    assert {"rltf/rewards/fine.py", "rltf/algorithms/gspo.py", "rltf/credit/tree.py"} <= set(modules)
    assert [file for file in modules if not paper_tables.options_of_module(file)] == []


def test_differences_are_those_of_the_docstring_numbered_from_one():
    for _, head, items in paper_tables.modules_with_deviations():
        assert head
        assert [int(item.partition(".")[0]) for item in items] == list(range(1, len(items) + 1))
    [fine] = [items for file, _, items in paper_tables.modules_with_deviations() if file == "rltf/rewards/fine.py"]
    assert len(fine) == 3
    assert fine[1].endswith("which is 1 always; `alpha: one` is that.")


def test_an_option_belongs_to_the_paper_whose_id_its_module_cites():
    table = paper_tables.papers()
    [gspo] = [line for line in table.splitlines() if "2507.18071" in line]
    assert "`algorithm=gspo`" in gspo
    [step] = [line for line in table.splitlines() if "2402.01391" in line]
    assert "`credit=executed`" in step
    assert "`curriculum=cccs`" in step


OPTIONS = sorted(set(re.findall(r"`([\w.]+=[^`]+)`", paper_tables.papers())))


@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_of_the_index_composes(composed, option):
    if option == "inference=critic_sampling":
        option += " critic=outcome"
    if option == "benchmark=repair":
        option += " benchmark.run=runs/first"
    composed("train", *train_overrides(option.split()))


def test_the_keys_of_the_table_of_differences_have_the_values_that_it_says(composed):
    cfg = composed("train", "algorithm=rltf", "reward=coarse+fine+adaptive")
    objective, advantages = cfg.algorithm.mix.rl.objective, cfg.algorithm.advantages
    assert (objective.reduction, objective.importance_clip, advantages.baseline) == (
        "sequence_sum", None, "best_so_far",
    )  # fmt: skip
    assert (cfg.reward.terms.fine.alpha, cfg.reward.terms.adaptive.mode) == ("length_ratio", "add")
    group = composed("train").algorithm
    assert (group.advantages.normalize, group.mix.rl.objective.weight_clip, group.mix.supervised.weight) == (
        "std", 2.0, 0.02,
    )  # fmt: skip
    paper = composed("train", "model=codet5_770m")
    assert (paper.benchmark._target_, paper.generation.sampling.temperature) == (
        "rltf.benchmarks.apps.benchmark.Apps", 1.0,
    )  # fmt: skip
