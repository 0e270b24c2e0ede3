import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from objective_batches import batch_of

from rltf.algorithms.grpo import GRPO
from rltf.algorithms.loss_mix import LossMix, WeightedObjective, window_divisors
from rltf.algorithms.objective import BatchLogprobs
from rltf.algorithms.ratios import policy_metrics
from rltf.algorithms.reductions import REDUCTIONS
from rltf.algorithms.reinforce import Reinforce
from rltf.algorithms.supervised import Supervised
from rltf.types import RolloutBatch


class Bigram(torch.nn.Module):
    """Enough of a policy: its log-probs have gradients that depend on every weight."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.logits_VV = torch.nn.Parameter(torch.randn(6, 6, dtype=torch.float64, generator=generator))

    def forward(self, batch):
        before_BT = batch.response_BT.roll(1, dims=1)
        return self.logits_VV.log_softmax(-1)[before_BT, batch.response_BT]


def sequences(lengths, seed):
    """One batch row a length, double precision."""
    generator = torch.Generator().manual_seed(seed)
    width = max(lengths)
    weights = torch.randn(len(lengths), width, dtype=torch.float64, generator=generator)
    base = batch_of(weights.tolist(), lengths)
    mask_BT = base.mask_BT
    return RolloutBatch(
        base.prompt_BS,
        base.prompt_mask_BS,
        torch.randint(6, mask_BT.shape, generator=generator),
        mask_BT,
        mask_BT,
        torch.full(mask_BT.shape, -1.8, dtype=torch.float64) * mask_BT,
        weights * mask_BT,
        base.version_B,
    )


def rows(batch, start, end):
    return RolloutBatch(*(getattr(batch, name)[start:end] for name in RolloutBatch.__slots__))


def gradient_of_one_step(mix, supervised, rl, size, ranks=1):
    """Gradient after one window of micro-batches of `size` rows of each term, rows dealt to ranks in blocks, as the
    trainer makes it: each loss divided by the window length, gradients averaged over ranks."""
    model = Bigram()
    per_rank = len(rl.version_B) // ranks
    accumulate = per_rank // size
    micro = [
        [
            {
                name: rows(b, r * per_rank + i * size, r * per_rank + (i + 1) * size)
                for name, b in (("supervised", supervised), ("rl", rl))
            }
            for i in range(accumulate)
        ]
        for r in range(ranks)
    ]
    counts = [
        {name: sum(mix.counts(micro[r][i])[name] for r in range(ranks)) / ranks for name in mix.terms}
        for i in range(accumulate)
    ]
    divisors = window_divisors(counts, accumulate)
    for r in range(ranks):
        for batches, divisor in zip(micro[r], divisors, strict=True):
            scored = {name: BatchLogprobs(b, model(b)) for name, b in batches.items()}
            (mix(scored, divisor).total / accumulate / ranks).backward()
    return model.logits_VV.grad


lengths_of_8 = st.lists(st.integers(1, 9), min_size=8, max_size=8)


@settings(deadline=None, max_examples=12)
@given(
    supervised=lengths_of_8,
    rl=lengths_of_8,
    reduction=st.sampled_from(list(REDUCTIONS)),
    make=st.sampled_from([Reinforce, GRPO]),
)
def test_one_by_eight_four_by_two_and_two_ranks_give_the_gradient_of_one_batch(supervised, rl, reduction, make):
    mix = LossMix(WeightedObjective(Supervised(reduction), 0.5), WeightedObjective(make(reduction=reduction), 2.0))
    batches = sequences(supervised, 1), sequences(rl, 2)
    whole = gradient_of_one_step(mix, *batches, size=8)
    for size, ranks in ((1, 1), (2, 1), (4, 1), (1, 2), (4, 2), (2, 4)):
        torch.testing.assert_close(gradient_of_one_step(mix, *batches, size, ranks), whole, rtol=1e-12, atol=1e-13)


def test_micro_batch_without_divisors_is_its_own_window():
    mix = LossMix(
        WeightedObjective(Supervised("token_mean")), WeightedObjective(Reinforce(reduction="token_mean"), weight=3.0)
    )
    demonstrations, rollouts = batch_of([[1.0, 1.0]]), batch_of([[0.5, 0.5]])
    loss = mix(
        {
            "supervised": BatchLogprobs(demonstrations, torch.tensor([[-1.0, -3.0]])),
            "rl": BatchLogprobs(rollouts, torch.tensor([[-2.0, -2.0]])),
        }
    )
    # (1 + 3)/2 + 3 * 0.5 * (2 + 2)/2
    assert loss.total.item() == pytest.approx(2.0 + 3.0)
    assert loss.metrics["loss/total"].item() == pytest.approx(5.0)
    assert loss.metrics["loss/supervised"].item() == pytest.approx(2.0)
    assert loss.metrics["loss/rl"].item() == pytest.approx(1.0)
    assert {"supervised/nll", "rl/ratio_mean", "rl/ratio_max"} < set(loss.metrics)


def test_term_absent_from_a_micro_batch_weighs_nothing_there():
    mix = LossMix(WeightedObjective(Supervised()), WeightedObjective(Reinforce()))
    demonstrations = batch_of([[1.0]])
    divisors = window_divisors([mix.counts({"supervised": demonstrations}), mix.counts({"rl": demonstrations})], 2)
    assert divisors[0] == {"supervised": 0.5, "rl": 0.5}
    loss = mix({"supervised": BatchLogprobs(demonstrations, torch.tensor([[-1.0]]))}, divisors[0])
    assert loss.total.item() / 2 == pytest.approx(1.0)
    assert "loss/rl" not in loss.metrics


def test_window_of_empty_responses_has_loss_zero_and_no_nan():
    mix = LossMix(rl=WeightedObjective(Reinforce(reduction="sequence_mean")))
    empty = batch_of([[1.0]], lengths=[0])
    logprobs_BT = torch.zeros(1, 1, requires_grad=True)
    for divisors in (None, {"rl": 0.0}):
        loss = mix({"rl": BatchLogprobs(empty, logprobs_BT)}, divisors)
        loss.total.backward()
        assert loss.total.item() == 0.0
    assert logprobs_BT.grad.tolist() == [[0.0]]


def test_mix_says_which_data_it_needs():
    sft, both = (
        LossMix(supervised=WeightedObjective(Supervised())),
        LossMix(WeightedObjective(Supervised()), WeightedObjective(GRPO(kl=0.1))),
    )
    assert (sft.needs_demonstrations, sft.needs_rollouts, sft.needs) == (True, False, frozenset())
    assert (both.needs_demonstrations, both.needs_rollouts, both.needs) == (True, True, {"reference"})


def test_mix_without_terms_or_with_a_weight_of_zero_is_refused():
    with pytest.raises(ValueError, match=r"algorithm\.mix has neither"):
        LossMix()
    with pytest.raises(ValueError, match=r"^weight is 0"):
        WeightedObjective(Supervised(), 0.0)


@pytest.mark.parametrize("accumulate", [0, -1, 3])
def test_window_that_does_not_divide_the_iteration_is_refused(accumulate):
    with pytest.raises(ValueError, match=r"trainer\.accumulate_grad_batches is"):
        window_divisors([{"rl": 1.0}] * 4, accumulate)


def test_staleness_is_counted_in_optimiser_steps_and_entropy_over_real_tokens():
    batch = batch_of([[1.0, 1.0], [1.0, 1.0]], lengths=[2, 1], versions=[3, 8])
    metrics = policy_metrics(batch, torch.tensor([[1.0, 2.0], [3.0, 50.0]]), version=10)
    assert metrics["policy/staleness_mean"].item() == pytest.approx(4.5)
    assert metrics["policy/staleness_max"].item() == 7.0
    assert metrics["policy/entropy"].item() == pytest.approx(2.0)
