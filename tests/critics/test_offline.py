"""A critic that is trained on what runs have left behind, before another run uses it."""

import json

import pytest
from critic_cases import POLICIES

from rltf.critics.outcome import OutcomeCritic
from rltf.critics.pretraining import CriticPretraining
from rltf.critics.value import ValueCritic
from rltf.types import Outcome, Problem, StdioTest

PROGRAMS = {Outcome.PASSED: "print(input())", Outcome.SYNTAX_ERROR: "def def def"}


class Echo:
    """Problems whose answers are programs; one kind of program passes, the other does not compile."""

    name = "echo"
    all = tuple(Problem(f"p{n}", "Echo.", (StdioTest("a", "a"),)) for n in range(60))

    def problems(self, split):
        return self.all if split == "train" else ()

    def answer(self, problem, program):
        if program == "unanswerable":
            raise ValueError("it fits no answer")
        return program


class Pipeline:
    def __init__(self, critic, policy):
        self.benchmark, self.critic, self.policy = Echo(), critic, policy

    def prompt_ids(self, problem):
        return (7, 8, 9)


@pytest.fixture
def run(tmp_path):
    rows = [
        {"problem_id": f"p{n}", "program": text, "outcome": str(outcome), "passed": 0, "total": 1, "greedy": False}
        for n in range(60)
        for outcome, text in PROGRAMS.items()
    ]
    unread = [{**rows[0], "greedy": True}, {**rows[0], "problem_id": "x"}, {**rows[0], "program": "unanswerable"}]
    (tmp_path / "rollouts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows + unread))
    return tmp_path


def test_it_learns_what_outcomes_look_like_and_the_next_run_begins_with_it(run, tmp_path):
    policy = POLICIES["T5"]()
    critic = OutcomeCritic(policy, lr=5e-3, passes=0.1)
    found = CriticPretraining(str(run), epochs=3, held_out=0.3)(Pipeline(critic, policy), None, 1, tmp_path)
    assert found["programs"] + found["held_out_programs"] == 120
    assert 20 <= found["held_out_programs"] <= 50
    assert found["held_out_programs"] % 2 == 0  # both programs of a problem are on one side
    assert found["constant_accuracy"] == 0.5
    assert found["accuracy"] == 1.0
    again = OutcomeCritic(policy, weights=str(tmp_path / "critic.pt"))
    again.start("cpu")
    training = CriticPretraining(str(run), held_out=0.3)
    assert again.has_learned
    kept = training(Pipeline(again, policy), None, 1, tmp_path)
    assert kept["accuracy"] == 1.0


def test_it_learns_from_as_many_programs_as_it_is_told_and_the_seed_says_which(run, tmp_path):
    policy = POLICIES["T5"]()
    seen = []
    for seed in (1, 2):
        critic = OutcomeCritic(policy)
        learned = []
        critic.learn = lambda items, passes, learned=learned: learned.extend(items) or {"loss": 0.0}
        found = CriticPretraining(str(run), programs=20)(Pipeline(critic, policy), None, seed, tmp_path)
        assert found["programs"] == len(learned) == 20
        seen.append([rollout.program.problem_id for rollout in learned])
    assert seen[0] != seen[1]


@pytest.mark.parametrize(
    ("options", "critic", "expected"),
    [
        ({}, None, "use critic=outcome"),
        ({}, ValueCritic, "use critic=outcome"),
        ({"held_out": 1e-9}, OutcomeCritic, "0 that are held out"),
        ({"held_out": 0}, None, "^held_out is 0: expected a number above 0 and below 1"),
        ({"programs": 0}, None, "^programs is 0: expected null or a whole number of at least 1"),
        ({"epochs": 0}, None, "^epochs is 0: expected a whole number of at least 1"),
        ({"runs": "nowhere"}, None, r"nowhere/rollouts\.jsonl cannot be read"),
    ],
)
def test_what_cannot_be_trained_is_refused_by_its_key(run, tmp_path, options, critic, expected):
    policy = POLICIES["T5"]()
    with pytest.raises(ValueError, match=expected):
        CriticPretraining(**{"runs": str(run), **options})(
            Pipeline(critic and critic(policy), policy), None, 1, tmp_path
        )
