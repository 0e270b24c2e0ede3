"""Seeds derived from the run's seed: other numbers would be other runs."""

from rltf.training.seeds import iteration_seed, minibatch_seed


def test_seeds_of_iterations_are_those_of_all_runs_so_far():
    assert (iteration_seed(1, 0), iteration_seed(2, 1)) == (346160259673234085, 4577945376106960574)
    assert iteration_seed(1, 0, resampling=1) == 3760278807632427983


def test_seeds_of_minibatches_are_those_of_all_runs_so_far():
    assert minibatch_seed(7, 3) == 7_000_024
