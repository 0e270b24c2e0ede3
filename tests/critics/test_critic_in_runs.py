"""Critics in the house: what goes with what, what is saved, and whole runs."""

import csv
import json

import pytest
import torch
from critic_cases import CRITICS, POLICIES, random_rollouts, rollout_of, shaken, started, with_returns
from torch import distributed

from rltf.callbacks.phase_timer import PhaseTimer
from rltf.commands.train import train
from rltf.critics.outcome import OutcomeCritic
from rltf.critics.value import ValueCritic
from rltf.metrics.critic import calibration_error, critic_metrics
from rltf.rollouts.packing import PackedRollout
from rltf.setup.combinations import build_credit, check_credit
from rltf.types import CriticPrediction, Outcome

BOTH = pytest.mark.parametrize("make", POLICIES.values(), ids=POLICIES)
KINDS = pytest.mark.parametrize("kind", CRITICS.values(), ids=CRITICS)


@BOTH
@KINDS
def test_a_critic_that_goes_on_from_its_state_ends_as_one_that_was_never_stopped_to_the_bit(make, kind, tmp_path):
    def harvest(critic, seed):
        return with_returns(critic.add_predictions(random_rollouts(10, seed)))

    whole, broken = started(kind(make(), lr=1e-2)), started(kind(make(), lr=1e-2))
    for critic in (whole, broken):
        critic.learn(harvest(critic, 0))
    torch.save(broken.state_dict(), tmp_path / "state.pt")
    resumed = kind(make(), lr=1e-2)
    resumed.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    started(resumed)
    for critic in (whole, resumed):
        critic.learn(harvest(critic, 1))
    pairs = zip(
        whole.network.trainable_parameters().values(), resumed.network.trainable_parameters().values(), strict=True
    )
    assert all(torch.equal(*pair) for pair in pairs)
    assert whole.add_predictions(random_rollouts(4)) == resumed.add_predictions(random_rollouts(4))


@KINDS
def test_weights_of_a_file_are_what_a_critic_begins_with_and_others_are_refused(kind, tmp_path):
    critic = shaken(started(kind(POLICIES["T5"]())))
    critic.save(tmp_path / "critic.pt")
    rollouts = random_rollouts(4)
    begun = started(kind(POLICIES["T5"](), weights=str(tmp_path / "critic.pt")))
    assert begun.add_predictions(rollouts) == critic.add_predictions(rollouts)
    with pytest.raises(ValueError, match="the weights that were saved are of another critic"):
        started(kind(POLICIES["causal"](), hidden=7, weights=str(tmp_path / "critic.pt")))
    with pytest.raises(ValueError, match=r"^weights is 'nowhere': expected the file critic.pt of a run"):
        kind(POLICIES["T5"](), weights="nowhere")


@BOTH
def test_the_body_begins_as_the_policy_is_when_rl_begins_and_goes_its_own_way(make):
    policy = make()
    critic = OutcomeCritic(policy, lr=1e-2)
    with torch.no_grad():
        for weight in policy.parameters():
            weight.mul_(1.5)
    started(critic)
    before = [w.clone() for w in policy.parameters()]
    assert all(torch.equal(a, b) for a, b in zip(critic.network.body.parameters(), before, strict=True))
    critic.learn(random_rollouts(8))
    assert all(torch.equal(a, b) for a, b in zip(policy.parameters(), before, strict=True))
    assert any(not torch.equal(a, b) for a, b in zip(critic.network.body.parameters(), before, strict=True))


def test_neither_reading_nor_learning_draws_random_numbers_of_the_run_and_greedy_programs_teach_nothing():
    critic = started(ValueCritic(POLICIES["T5"]()))
    before = torch.get_rng_state()
    critic.learn(with_returns(critic.add_predictions(random_rollouts(6))))
    assert torch.equal(torch.get_rng_state(), before)
    assert critic.learn([rollout_of([1], greedy=True)]) == {}


def test_processes_add_up_their_gradients(monkeypatch):
    """One with all programs takes the step of two with half of them each, whose sums the other one is added to."""
    rollouts = with_returns(started(ValueCritic(POLICIES["T5"]())).add_predictions(random_rollouts(8)))
    halves = [rollouts[:3], rollouts[3:]]
    gradients = []
    for rows in halves:
        critic = shaken(started(ValueCritic(POLICIES["T5"]())))
        loss, _ = critic.loss(critic._collate([rollout.program for rollout in rows]), rows)
        loss.backward()
        gradients.append([w.grad for w in critic.network.trainable_parameters().values()])
    tokens = [sum(len(r.program.token_ids) for r in rows) for rows in halves]
    alone = shaken(started(ValueCritic(POLICIES["T5"]())))
    alone._step(rollouts)

    half = shaken(started(ValueCritic(POLICIES["T5"]())))
    other = iter(gradients[1])
    monkeypatch.setattr(distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(distributed, "get_world_size", lambda: 2)
    monkeypatch.setattr("rltf.critics.learner.all_gather", lambda x: [x, tokens[1] if isinstance(x, int) else x])
    monkeypatch.setattr(distributed, "all_reduce", lambda g: g.add_(next(other) / sum(tokens)))
    half._step(halves[0])
    for a, b in zip(
        alone.network.trainable_parameters().values(), half.network.trainable_parameters().values(), strict=True
    ):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-6)


def test_the_buffer_does_not_keep_what_a_critic_said():
    [said] = started(OutcomeCritic(POLICIES["T5"]())).add_predictions([rollout_of([1, 2])])
    assert said.critic is not None
    assert PackedRollout.pack(said).unpack().critic is None


@pytest.mark.parametrize(
    ("critic", "options", "said"),
    [
        (None, ["credit=critic_token"], "credit=critic_token .* there is none: use critic=outcome"),
        ("value", ["credit=critic_token"], "there is one of values: use critic=outcome"),
        (None, ["algorithm=ppo"], "algorithm=ppo and credit=gae .* there is none: use critic=value or critic=mlp"),
        ("outcome", ["algorithm=ppo"], "there is one of outcomes: use critic=value or critic=mlp"),
        ("value", [], "critic is one of values, which nothing reads"),
        ("value", ["algorithm=ppo", "credit=gae"], "credit=gae is a part of algorithm=ppo already"),
        ("outcome", ["algorithm=ppo", "credit=critic_token"], "a run has one critic"),
        ("outcome", ["algorithm=sft"], "judges none: use critic=none"),
    ],
)
def test_one_sentence_says_what_does_not_go_together(composed, critic, options, said):
    with pytest.raises(ValueError, match=said):
        check_credit(composed("train", f"critic={critic or 'none'}", *options))


@pytest.mark.parametrize(
    ("critic", "options"),
    [
        ("outcome", ["credit=critic_token"]),
        ("outcome", ["credit=executed+critic_token", "algorithm=dapo"]),
        ("outcome", []),
        ("value", ["algorithm=ppo", "credit=executed"]),
        ("mlp", ["algorithm=ppo"]),
        ("value", ["credit=gae", "algorithm=reinforce"]),
    ],
)
def test_the_rest_does(composed, critic, options):
    cfg = composed("train", f"critic={critic}", *options)
    check_credit(cfg)
    credit = build_credit(cfg)
    assert (credit is None) == (not options)
    assert credit is None or credit.needs_coverage == any("executed" in option for option in options)


def test_metrics_of_two_programs_by_hand():
    said = [
        (CriticPrediction((0.2, 0.4), (0.1, 0.2, 0.3, 0.4)), Outcome.PASSED),
        (CriticPrediction((0.6,), (0.7, 0.1, 0.1, 0.1)), Outcome.TIMEOUT),
    ]
    found = critic_metrics(said)
    assert found == pytest.approx(
        {"accuracy": 0.5, "true_probability": 0.25, "token_probability": 0.4, "calibration_error": (0.6 + 0.1) / 2}
    )
    values = critic_metrics([(CriticPrediction((0.0, 1.0), returns=(1.0, 1.0)), Outcome.PASSED),
                             (CriticPrediction((0.0,), returns=(-2.0,)), Outcome.PASSED)])  # fmt: skip
    # errors 1, 0, -2: variance 14/9; returns 1, 1, -2: variance 2
    expected = {"value_mean": 1 / 3, "return_mean": 0.0, "value_error": (5 / 3) ** 0.5, "explained_variance": 2 / 9}
    assert values == pytest.approx(expected)
    assert critic_metrics([]) == {}
    assert calibration_error([]) == 0.0


SMALL = (
    "debug=default",
    "report=false",
    "callbacks.progress=null",
    "logger=none",
    "benchmark.sizes={train: 8, validation: 4, test: 6}",
    "warmup={steps: 10, batch_size: 8}",
    "rollouts={problems: 2, samples: 3, updates: 2, batch_size: 4}",
    "generation.sampling.max_new_tokens=30",
    "evaluation.problems=2",
    "trainer={max_epochs: 4, check_val_every_n_epoch: 10}",
    "model.layers=1",
    "model.d_model=32",
)
RUNS = {
    "outcome": ("critic=outcome", "credit=executed+critic_token", "reward=fine+adaptive"),
    "ppo": ("critic=value", "algorithm=ppo", "algorithm.credit.penalty.target=0.1", "model.dropout=0.1"),
    "mlp": ("critic=mlp", "algorithm=ppo", "model=tiny_causal", "rollouts.lag=0"),
}


@pytest.mark.slow
@pytest.mark.parametrize("options", RUNS.values(), ids=RUNS)
def test_a_run_with_a_critic_goes_on_after_a_stop_to_the_bit(composed, tmp_path, monkeypatch, options):
    whole = train(composed("train", *SMALL, *options, f"paths.output_dir={tmp_path / 'whole'}"))

    def dies(self, trainer, module):
        if trainer.max_epochs == 4 and trainer.current_epoch == 3:
            raise RuntimeError("power loss")

    broken = tmp_path / "broken"
    with monkeypatch.context() as patch:
        patch.setattr(PhaseTimer, "on_train_epoch_start", dies)
        with pytest.raises(RuntimeError, match="power loss"):
            train(composed("train", *SMALL, *options, f"paths.output_dir={broken}"))
    resumed = train(composed("train", *SMALL, *options, f"paths.output_dir={broken}", f"resume={broken}"))

    runs = (whole, resumed)
    policies = [run.module.policy.state_dict() for run in runs]
    critics = [torch.load(run.folder / "critic.pt", weights_only=True) for run in runs]
    for before, after in (policies, critics):
        assert all(torch.equal(before[name], after[name]) for name in before)
    lines = [[json.loads(x) for x in (run.folder / "rollouts.jsonl").read_text().splitlines()] for run in runs]
    assert [{**r, "seconds": 0} for r in lines[0]] == [{**r, "seconds": 0} for r in lines[1]]
    assert all(len(r["critic"]["tokens"]) == len(r["offsets"]) for r in lines[0])
    with (resumed.folder / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert sum(bool(row["critic/loss"]) for row in rows) == len({r["iteration"] for r in lines[0]})
    assert sum(float(row["perf/seconds/critic"] or 0) for row in rows if row.get("perf/seconds/critic")) > 0
