"""Reward terms that read the policy and the benchmark, and terms that learn."""

import pytest

from rltf.rewards.base import RewardStack
from rltf.rewards.coarse import Coarse
from rltf.setup.credit import count_learned_weights, reward_callbacks
from rltf.types import Credit
from rltf.validation import OptionError


class Network:
    """Counts what is asked of it."""

    def trained_weights(self):
        return 7


class Learning:
    """A term of a user's own that binds and learns."""

    def __init__(self):
        self.learner = Network()
        self.bound = None

    def __call__(self, problem, program, verdict):
        return (Credit("mine", 1.0),)

    def bind(self, policy, benchmark):
        if policy is None:
            raise OptionError("network", None, "a policy to copy")
        self.bound = (policy, benchmark)

    def learn(self, rollouts):
        return {"programs": float(len(rollouts))}


class Pipeline:
    critic = None

    def __init__(self, rewards):
        self.rewards = rewards


def test_a_stack_binds_the_terms_that_ask_for_it_and_names_those_that_learn():
    term = Learning()
    stack = RewardStack({"coarse": Coarse(), "mine": term})
    stack.bind("policy", "benchmark")
    assert term.bound == ("policy", "benchmark")
    assert stack.learning_terms == {"mine": term}


def test_a_mistake_that_binding_finds_has_the_whole_path():
    with pytest.raises(OptionError, match=r"^reward.terms.mine.network is None: expected a policy to copy"):
        RewardStack({"mine": Learning()}).bind(None, "benchmark")


def test_a_run_has_the_callback_and_counts_the_weights_of_terms_that_learn_alone():
    learning, plain = Pipeline(RewardStack({"mine": Learning()})), Pipeline(RewardStack({"coarse": Coarse()}))
    [callback] = reward_callbacks(learning)
    assert list(callback.learners) == ["mine"]
    assert (reward_callbacks(plain), count_learned_weights(plain)) == ([], 0)
    assert count_learned_weights(learning) == 7


def test_a_term_that_trains_nothing_in_this_run_still_measures():
    term = Learning()
    term.learner = None
    [callback] = reward_callbacks(Pipeline(RewardStack({"mine": term})))
    assert callback.learners == {}
    assert callback.state_dict() == {}
    assert count_learned_weights(Pipeline(RewardStack({"mine": term}))) == 0
