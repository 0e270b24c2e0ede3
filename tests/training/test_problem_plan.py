"""A plan decides which problem and which demonstration comes next, and when an iteration begins."""

from types import SimpleNamespace

import pytest

from rltf.algorithms.loss_mix import LossMix, WeightedObjective
from rltf.algorithms.supervised import Supervised
from rltf.benchmarks.mini import Mini
from rltf.policies.tiny import tiny_t5
from rltf.rollouts.buffer import RolloutBuffer
from rltf.rollouts.interfaces import ProblemPlan
from rltf.rollouts.problem_order import ProblemOrder
from rltf.training.datamodule import RolloutDataModule
from rltf.training.plans import EvaluationPlan, StreamPlan
from rltf.types import Sampling

SIZES = {"train": 12, "validation": 1, "test": 1}


class Backwards:
    """The last problem first; notes what it is told."""

    def __init__(self, problems):
        self.problems, self.iterations, self.position = problems, [], 0

    def __len__(self):
        return len(self.problems)

    def start_iteration(self, iteration, iterations):
        self.iterations.append((iteration, iterations))

    def next_indices(self, n):
        start, self.position = self.position, self.position + n
        return [-1 - (start + i) % len(self) for i in range(n)]

    def state_dict(self):
        return {"position": self.position}

    def load_state_dict(self, state):
        self.position = state["position"]


class BackwardsPlan:
    def problem_order(self, problems, seed, rank, world_size):
        return Backwards(problems)

    demonstration_order = problem_order


class State:
    def state_dict(self):
        return {}

    def load_state_dict(self, state):
        pass


@pytest.fixture
def data():
    plan = EvaluationPlan(split="validation", problems=1, samples=1, sampling=Sampling(), seed=0)
    policy = tiny_t5(d_model=16, d_ff=16, layers=1, heads=2)
    return RolloutDataModule(
        Mini(sizes=SIZES),
        policy,
        State(),
        RolloutBuffer(),
        plan,
        plan,
        max_tokens=80,
        seed=0,
        problem_plan=BackwardsPlan(),
    )


def stream(iterations):
    mix = LossMix(supervised=WeightedObjective(Supervised(reduction="token_mean")))
    return StreamPlan(mix=mix, updates=1, accumulate=1, batch_size=0, demonstrations=2, iterations=iterations)


def test_problems_come_in_the_order_of_the_plan_and_its_state_is_in_checkpoints(data):
    assert isinstance(BackwardsPlan(), ProblemPlan)
    train = data.train_problems
    assert data.next_problems(3) == train[:-4:-1]
    assert data.problem_order.iterations == []  # no run, no iterations
    state = data.state_dict()
    data.next_problems(2)
    data.load_state_dict(state)
    assert data.next_problems(1) == [train[-4]]


def test_the_plan_is_told_which_iteration_of_how_many_begins(data):
    data.start(stream(iterations=6))
    data.trainer = SimpleNamespace(current_epoch=4)
    data.next_problems(1)
    assert data.problem_order.iterations == [(4, 6)]


def test_demonstrations_come_in_the_order_of_the_plan_which_waits_in_a_warm_up(data):
    data.start(stream(iterations=None))
    data.demonstrations.batch(2)
    order = data.demonstrations.require_any()
    assert isinstance(order, Backwards)
    assert order.iterations == []
    assert len(order) == len(data.demonstrations) == 12
    assert [problem.id for problem in order.problems] == [problem.id for problem in data.train_problems]


def test_without_a_plan_the_order_is_that_of_before(data):
    data.problem_plan = None
    expected = [data.train_problems[i] for i in ProblemOrder(12, seed=0).next_indices(5)]
    assert data.next_problems(5) == expected
