import itertools
import pickle

import numpy as np
import pytest
import torch
import torch.multiprocessing
from hypothesis import given
from hypothesis import strategies as st

from rltf.metrics.intervals import bootstrap_interval
from rltf.metrics.mean_pass_at_k import MeanPassAtK
from rltf.metrics.pass_at_k import pass_at_k


@pytest.mark.parametrize(
    ("n", "c", "k", "value"),
    [(5, 2, 1, 0.4), (5, 2, 2, 0.7), (10, 3, 5, 0.916667), (20, 1, 5, 0.25), (5, 4, 2, 1.0), (5, 0, 5, 0.0)],
)
def test_known_values(n, c, k, value):
    assert pass_at_k(n, c, k) == pytest.approx(value, abs=1e-6)


@given(st.data())
def test_estimate_is_the_share_of_subsets_with_a_passing_program(data):
    n = data.draw(st.integers(1, 8))
    c, k = data.draw(st.integers(0, n)), data.draw(st.integers(1, n))
    subsets = list(itertools.combinations([True] * c + [False] * (n - c), k))
    assert pass_at_k(n, c, k) == pytest.approx(sum(map(any, subsets)) / len(subsets))


@given(c=st.integers(0, 1000), k=st.integers(1, 1000))
def test_estimate_of_1000_programs_is_a_probability_and_grows_with_c(c, k):
    value = pass_at_k(1000, c, k)
    assert 0 <= value <= 1
    assert value > 1 - 1e-9 or pass_at_k(1000, c + 1, k) > value


@pytest.mark.parametrize("arguments", [(5, 2, 6), (5, 2, 0), (5, 6, 1), (5, -1, 1)])
def test_impossible_counts_are_refused(arguments):
    with pytest.raises(ValueError, match="expected between"):
        pass_at_k(*arguments)


def test_metric_averages_problems_over_updates_of_any_size():
    metric = MeanPassAtK(k=2)
    metric.update(programs=[5, 5], passed=[2, 0])
    metric.update(programs=torch.tensor([4]), passed=torch.tensor([4]))
    assert metric.compute().item() == pytest.approx((0.7 + 0.0 + 1.0) / 3)
    assert metric.compute().dtype == torch.float64
    metric.reset()
    metric.update([1 + 1], [1])
    assert metric.compute().item() == 1.0


def test_metric_keeps_precision_over_many_problems():
    metric = MeanPassAtK(k=1)
    metric.update([10] * 20_000, [1] * 20_000)
    assert metric.compute().item() == pytest.approx(0.1, abs=1e-12)


def test_metric_survives_pickling_and_refuses_k_of_zero():
    metric = MeanPassAtK(k=1)
    metric.update([2], [1])
    assert pickle.loads(pickle.dumps(metric)).compute().item() == 0.5
    with pytest.raises(ValueError, match="k of pass@k is 0"):
        MeanPassAtK(k=0)


def _rank_of_two(rank, rendezvous, results):
    torch.distributed.init_process_group("gloo", init_method=rendezvous, rank=rank, world_size=2)
    metric = MeanPassAtK(k=1)
    for passed in ([3, 2, 0], [0, 0])[rank]:  # five problems on two ranks: three and two steps
        metric.update([5], [passed])
    results[rank] = metric.compute().item()
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_uneven_ranks_agree_on_the_value_of_one_process(tmp_path):
    with torch.multiprocessing.Manager() as manager:
        results = manager.dict()
        rendezvous = (tmp_path / "rendezvous").as_uri()
        torch.multiprocessing.spawn(_rank_of_two, args=(rendezvous, results), nprocs=2)
        assert dict(results) == {0: pytest.approx(0.2), 1: pytest.approx(0.2)}


def test_bootstrap_interval_covers_the_mean_of_a_coin_at_the_normal_width():
    values = [0.0, 1.0] * 100
    low, high = bootstrap_interval(values)
    # 1.96 * sqrt(0.25 / 200) = 0.0693
    assert (low, high) == (pytest.approx(0.5 - 0.0693, abs=0.01), pytest.approx(0.5 + 0.0693, abs=0.01))
    narrow = bootstrap_interval(values, level=0.5)
    assert low < narrow[0] < 0.5 < narrow[1] < high


def test_bootstrap_interval_is_fixed_by_its_seed():
    values = np.linspace(0, 1, 50).tolist()
    assert bootstrap_interval(values, seed=1) == bootstrap_interval(values, seed=1)
    assert bootstrap_interval(values, seed=1) != bootstrap_interval(values, seed=2)


def test_bootstrap_interval_does_not_hang_on_the_order_of_the_problems():
    values = np.random.default_rng(0).random(50)
    assert bootstrap_interval(values) == bootstrap_interval(values[::-1])


def test_bootstrap_interval_covers_the_truth_about_as_often_as_it_says():
    generator = np.random.default_rng(0)
    covered = 0
    for trial in range(200):
        low, high = bootstrap_interval(generator.random(60).tolist(), level=0.8, resamples=200, seed=trial)
        covered += low <= 0.5 <= high
    assert 140 < covered < 180  # 160 expected, standard deviation 5.7


@pytest.mark.parametrize(("values", "level"), [([], 0.95), ([1.0], 0.0), ([1.0], 1.0)])
def test_bootstrap_interval_of_nothing_or_of_an_impossible_level_is_refused(values, level):
    with pytest.raises(ValueError, match="expected"):
        bootstrap_interval(values, level)
