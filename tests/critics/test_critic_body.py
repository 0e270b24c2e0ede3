"""A critic whose body begins as another policy than the run's: `critic.body`, `critic.train_body`."""

import pytest
import torch
from critic_cases import POLICIES, random_rollouts, shaken, started

from rltf.critics.outcome import OutcomeCritic
from rltf.critics.value import ValueCritic
from rltf.policies.load import pretrained
from rltf.policies.tiny import tiny_t5
from rltf.validation import OptionError

BOTH = pytest.mark.parametrize("make", POLICIES.values(), ids=POLICIES)


def other(make, folder):
    """A folder with a policy of other weights than `make` gives."""
    policy = make()
    with torch.no_grad():
        for weight in policy.parameters():
            weight += 0.05 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(3))
    policy.export(folder)
    return str(folder)


def weights(module):
    return {name: weight.clone() for name, weight in module.named_parameters()}


def equal(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@BOTH
def test_the_body_is_the_policy_of_the_folder_also_once_rl_starts(make, tmp_path):
    folder = other(make, tmp_path / "policy")
    policy = make()
    critic = started(OutcomeCritic(policy, body=folder))
    assert equal(weights(critic.network.body), weights(pretrained(folder, folder)))
    assert not equal(weights(critic.network.body), weights(policy))


@BOTH
def test_a_frozen_body_stays_and_the_head_alone_learns_and_is_saved(make, tmp_path):
    folder = other(make, tmp_path / "policy")
    critic = started(OutcomeCritic(make(), body=folder, train_body=False, lr=1e-2))
    before = weights(critic.network)
    critic.learn(random_rollouts(16))
    after = weights(critic.network)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert all(name.startswith("head.") for name in changed)
    assert set(critic.state_dict()["weights"]) == {n for n in before if n.startswith("head.")}
    critic.save(tmp_path / "critic.pt")
    again = started(OutcomeCritic(make(), body=folder, train_body=False, weights=str(tmp_path / "critic.pt")))
    rollouts = random_rollouts(5, seed=1)
    assert again.add_predictions(rollouts) == critic.add_predictions(rollouts)


@BOTH
def test_a_frozen_body_says_what_a_trained_one_says_before_it_learned(make, tmp_path):
    folder = other(make, tmp_path / "policy")
    rollouts = random_rollouts(5)
    predictions = [
        shaken(started(OutcomeCritic(make(), body=folder, train_body=trained))).add_predictions(rollouts)
        for trained in (True, False)
    ]
    assert predictions[0] == predictions[1]


def test_a_critic_of_values_takes_a_body_too(tmp_path):
    folder = other(POLICIES["T5"], tmp_path / "policy")
    critic = started(ValueCritic(POLICIES["T5"](), body=folder, train_body=False))
    assert not [name for name in critic.network.trainable_parameters() if not name.startswith("head.")]


def test_a_resumed_critic_has_the_same_frozen_body(tmp_path):
    folder = other(POLICIES["T5"], tmp_path / "policy")
    critic = started(OutcomeCritic(POLICIES["T5"](), body=folder, train_body=False, lr=1e-2))
    critic.learn(random_rollouts(16))
    resumed = OutcomeCritic(POLICIES["T5"](), body=folder, train_body=False, lr=1e-2)
    resumed.load_state_dict(critic.state_dict())
    started(resumed)
    assert equal(weights(resumed.network), weights(critic.network))


def test_weights_of_a_trained_body_are_refused_where_the_body_stays(tmp_path):
    folder = other(POLICIES["T5"], tmp_path / "policy")
    started(OutcomeCritic(POLICIES["T5"](), body=folder)).save(tmp_path / "critic.pt")
    frozen = OutcomeCritic(POLICIES["T5"](), body=folder, train_body=False, weights=str(tmp_path / "critic.pt"))
    with pytest.raises(
        ValueError, match=r"hold body\..* which is not trained here: use the critic and the model of that"
    ):
        started(frozen)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (POLICIES["causal"], "expected a model with the policy's kind, Seq2SeqPolicy, and it has CausalPolicy"),
        (lambda: tiny_t5(d_model=64, d_ff=64, layers=1, heads=2), "expected a model with the policy's width, 32, and"),
    ],
)
def test_a_body_that_does_not_fit_is_refused_by_its_key(make, expected, tmp_path):
    make().export(tmp_path / "policy")
    with pytest.raises(OptionError, match=f"^body is .*{expected}"):
        OutcomeCritic(POLICIES["T5"](), body=str(tmp_path / "policy"))


def test_a_body_of_another_tokenizer_is_refused_by_its_key(tmp_path):
    policy = POLICIES["T5"]()
    policy.export(tmp_path / "policy")
    policy.tokenizer.add_tokens(["<another>"])
    with pytest.raises(OptionError, match="expected a model with the policy's tokenizer, and it has another one"):
        OutcomeCritic(policy, body=str(tmp_path / "policy"))


def test_a_folder_without_a_policy_is_refused_and_that_of_a_run_is_known(tmp_path):
    with pytest.raises(OptionError, match=r"^body is .*: expected a folder with a policy, such as"):
        OutcomeCritic(POLICIES["T5"](), body=str(tmp_path))
    folder = other(POLICIES["T5"], tmp_path / "policy")
    bodies = [OutcomeCritic(POLICIES["T5"](), body=path).network.body for path in (folder, str(tmp_path))]
    assert equal(*map(weights, bodies))


def test_a_body_that_stays_is_named():
    with pytest.raises(OptionError, match="train_body is False: expected true with body=null, or body=FOLDER"):
        OutcomeCritic(POLICIES["T5"](), train_body=False)
