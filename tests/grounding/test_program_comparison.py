"""The discriminator: differences and losses by hand, what it can learn, state, and several processes."""

import math
import random

import pytest
import torch
from codet5p_folders import codet5p_t5_folder
from critic_cases import POLICIES, started
from grounding_cases import RIGHT, Benchmark
from torch import distributed

from rltf.grounding.comparison import Pair, ProgramComparison, normalised, pair_loss
from rltf.grounding.discriminator import Discriminator
from rltf.policies.codet5p.embedding import embedder
from rltf.rollouts.collate import collate_demonstrations
from rltf.validation import OptionError

BOTH = pytest.mark.parametrize("make", POLICIES.values(), ids=POLICIES)
PROMPT = (5, 6, 7)


def comparison(make=POLICIES["T5"], head=None, **options):
    """A started discriminator; with `head`, its last layer is linear and random."""
    learner = started(Discriminator(hidden=0, **{"lr": 1e-2, **options}).comparison(make(), Benchmark()))
    if head is not None:
        with torch.no_grad():
            for weight in learner.network.head.parameters():
                weight += head * torch.randn(weight.shape, generator=torch.Generator().manual_seed(1))
    return learner


def pair_of(generated, reference):
    return Pair((PROMPT, tuple(generated)), (PROMPT, tuple(reference)))


def random_pairs(count, seed=0, mark=()):
    """Programs of random tokens; `mark` is in every generated one."""
    draw = random.Random(seed)

    def tokens(extra=()):
        drawn = [draw.randrange(20, 200) for _ in range(draw.randint(2, 6))]
        return [*drawn[:1], *extra, *drawn[1:]]

    return [pair_of(tokens(mark), tokens()) for _ in range(count)]


def test_loss_and_reward_of_a_pair_by_hand():
    """h 0.2 against 1: tanh(-0.8) and log(1 + e^-0.8); equal programs: 0 and log 2; a swap turns the sign."""
    generated, reference = torch.tensor([0.2, 1.0, 1.0]), torch.tensor([1.0, 1.0, 0.2])
    assert pair_loss(generated, reference).tolist() == pytest.approx([0.371101, 0.693147, 1.171101], abs=1e-6)
    assert math.tanh(0.2 - 1) == pytest.approx(-0.664037, abs=1e-6)


def test_the_embedding_model_of_codet5p_is_a_body_that_learns(tmp_path):
    """Its tokens and states, not the policy's; its projection stays as it is, and the policy does."""
    codet5p_t5_folder(tmp_path / "embedding", "embedding")
    body = embedder("embedding", str(tmp_path / "embedding"), max_prompt_tokens=64)
    policy = POLICIES["T5"]()
    before = [weight.clone() for weight in policy.parameters()]
    learner = started(Discriminator(hidden=0, lr=3e-3, passes=1.0, model=body).comparison(policy, Benchmark()))
    [problem, _] = Benchmark().train
    pair = learner.pair(problem, "def f(x):\n    return x", RIGHT)
    assert pair.reference[1] == body.encode_answer(RIGHT)
    assert learner.differences([pair]) == [0.0]
    for _ in range(40):
        learner.learn([pair] * 4)
    assert learner.differences([pair])[0] < -1.0
    assert all(torch.equal(weight, old) for weight, old in zip(policy.parameters(), before, strict=True))
    trained = learner.network.trainable_parameters()
    assert any(name.startswith("body.model.encoder.") for name in trained)
    assert not any(".proj." in name for name in trained)


@BOTH
def test_a_fresh_one_holds_all_programs_for_equal_and_an_equal_program_stays_exactly_so(make):
    assert comparison(make).differences(random_pairs(5)) == [0.0] * 5
    [equal, other] = comparison(make, head=1.0).differences([pair_of([9, 8], [9, 8]), pair_of([9, 8], [9, 30])])
    assert equal == 0.0
    assert other != 0.0


@BOTH
def test_the_score_is_the_head_of_the_largest_state_of_each_unit_whatever_else_is_in_the_batch(make):
    learner = comparison(make, head=1.0)
    pair = pair_of([9, 30, 41], [12])
    batch = collate_demonstrations([pair.generated], 0, "right")
    states_TD = learner.network.states(batch)[0]
    [linear] = learner.network.head
    by_hand = (states_TD.max(0).values @ linear.weight[0] + linear.bias[0]).item()
    assert learner.scores([pair.generated]).item() == pytest.approx(by_hand, abs=1e-5)
    longer = (PROMPT, tuple(range(20, 40)))
    assert learner.scores([pair.generated, longer])[0].item() == pytest.approx(by_hand, abs=1e-5)


@BOTH
def test_a_swap_turns_the_sign(make):
    learner = comparison(make, head=1.0)
    pairs = random_pairs(6)
    swapped = [Pair(pair.reference, pair.generated) for pair in pairs]
    assert learner.differences(swapped) == [-difference for difference in learner.differences(pairs)]


def accuracy(learner, pairs):
    return sum(difference < 0 for difference in learner.differences(pairs)) / len(pairs)


def test_it_learns_what_separates_programs_from_references():
    learner = comparison(lr=3e-3)
    for seed in range(25):
        learner.learn(random_pairs(128, seed=seed + 100, mark=(7,)), passes=1)  # 8 steps
    assert accuracy(learner, random_pairs(100, seed=9, mark=(7,))) == 1.0


def test_it_learns_nothing_where_both_are_drawn_alike():
    learner = comparison(lr=1e-3)
    for seed in range(25):
        learner.learn(random_pairs(64, seed=seed + 100), passes=1)
    assert accuracy(learner, random_pairs(400, seed=9)) == pytest.approx(0.5, abs=0.1)


def test_both_texts_take_one_road():
    """Layout, comments and a missing end are no difference; other code is."""
    learner = comparison()
    [problem, _] = Benchmark().train
    pair = learner.pair(problem, "def f( x ):  # adds\n  return (x+1)\n\n", RIGHT)
    assert pair.generated == pair.reference
    assert pair.generated[1][-1] == POLICIES["T5"]().eos_id
    other = learner.pair(problem, "def f(x):\n    return x + 2", RIGHT)
    assert other.generated != other.reference
    plain = comparison(normalise=False).pair(problem, "def f( x ):\n    return x + 1", RIGHT)
    assert plain.generated != plain.reference


def test_a_program_that_is_no_answer_in_the_format_is_compared_as_it_is_with_the_reference_as_it_is():
    class Strict(Benchmark):
        def answer(self, problem, program):
            if "2" in program:
                raise ValueError
            return f"#{program}"

    learner = started(Discriminator().comparison(POLICIES["T5"](), Strict()))
    [problem, _] = Strict().train
    with_answer, without = (learner.pair(problem, f"def f(x):\n    return x + {n}", RIGHT) for n in (3, 2))
    assert with_answer.reference != without.reference
    assert without.reference[1] == POLICIES["T5"]().encode_answer(RIGHT)


def test_a_text_that_does_not_compile_is_compared_as_it_is():
    assert normalised("def f(x:") == "def f(x:"


def test_long_programs_are_cut_and_end():
    learner = comparison()
    [problem, _] = Benchmark().train
    pair = learner.pair(problem, "\n".join(f"x{i} = {i}" for i in range(2000)), RIGHT)
    assert len(pair.generated[1]) == 1024
    assert pair.generated[1][-1] == POLICIES["T5"]().eos_id


@BOTH
def test_one_that_goes_on_from_its_state_ends_as_one_that_was_never_stopped_to_the_bit(make, tmp_path):
    whole, broken = comparison(make), comparison(make)
    for learner in (whole, broken):
        learner.learn(random_pairs(20))
    torch.save(broken.state_dict(), tmp_path / "state.pt")
    resumed = Discriminator(hidden=0, lr=1e-2).comparison(make(), Benchmark())
    resumed.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    started(resumed)
    for learner in (whole, resumed):
        learner.learn(random_pairs(20, seed=1))
    assert whole.differences(random_pairs(9, seed=2)) == resumed.differences(random_pairs(9, seed=2))


def test_weights_of_a_file_are_what_another_begins_with(tmp_path):
    learner = comparison(head=1.0)
    learner.save(tmp_path / "grounding.pt")
    begun = comparison(weights=str(tmp_path / "grounding.pt"))
    assert begun.differences(random_pairs(4)) == learner.differences(random_pairs(4))
    with pytest.raises(ValueError, match="the weights that were saved are of another discriminator"):
        started(
            Discriminator(hidden=7, weights=str(tmp_path / "grounding.pt")).comparison(POLICIES["T5"](), Benchmark())
        )


def test_another_model_can_be_the_body():
    other = POLICIES["causal"]()
    learner = started(Discriminator(model=other).comparison(POLICIES["T5"](), Benchmark()))
    [problem, _] = Benchmark().train
    assert learner.pair(problem, RIGHT, RIGHT).generated[1] == other.encode_answer(RIGHT)
    assert len(learner.differences(random_pairs(2))) == 2


def test_processes_add_up_their_gradients(monkeypatch):
    """One with all pairs has the gradient of two with a part of them each, whose sums the other one is added to."""
    pairs = random_pairs(8)
    parts = [pairs[:3], pairs[3:]]
    gradients = []
    for part in parts:
        learner = comparison(head=1.0)
        learner.batch_loss(part)[0].backward()
        gradients.append([weight.grad for weight in learner.network.trainable_parameters().values()])
    alone = comparison(head=1.0)
    alone._step(pairs)

    part = comparison(head=1.0)
    other = iter(gradients[1])
    monkeypatch.setattr(distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(distributed, "get_world_size", lambda: 2)
    monkeypatch.setattr("rltf.critics.learner.all_gather", lambda x: [x, len(parts[1]) if isinstance(x, int) else x])
    monkeypatch.setattr(distributed, "all_reduce", lambda g: g.add_(next(other) / len(pairs)))
    part._step(parts[0])
    weights, others = (learner.network.trainable_parameters() for learner in (alone, part))
    assert any(weight.grad.abs().max() > 1e-2 for weight in weights.values())
    for name in weights:  # the gradients, since AdamW's first step makes as much of rounding as of anything else
        torch.testing.assert_close(weights[name].grad, others[name].grad, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"hidden": -1}, "hidden is -1: expected a whole number of at least 0"),
        ({"lr": 0}, "lr is 0: expected a number above 0"),
        ({"passes": 0}, "passes is 0: expected a number above 0"),
        ({"batch_size": 0.5}, "batch_size is 0.5: expected a whole number of at least 1"),
        ({"normalise": "no"}, "normalise is 'no': expected true or false"),
        ({"weights": "nowhere"}, "weights is 'nowhere': expected the file grounding.pt of a run, or null"),
    ],
)
def test_options_that_make_no_sense_are_refused_in_one_sentence(options, sentence):
    with pytest.raises(OptionError, match=f"^{sentence}"):
        Discriminator(**options)


def test_it_is_a_learner_of_pairs():
    assert (ProgramComparison.noun, ProgramComparison.file_name) == ("discriminator", "grounding.pt")
