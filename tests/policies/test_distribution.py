import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from rounding import cuts_at_a_border

from rltf.policies.distribution import check_sampling, log_probs, support
from rltf.types import Sampling

LOGITS = st.lists(st.sampled_from([-3.0, -1.0, 0.0, 0.5, 1.0, 2.0]), min_size=1, max_size=7)


def brute_force(logits: list[float], sampling: Sampling) -> list[float]:
    """One token after the other, in Python floats."""
    tempered = [x / sampling.temperature for x in logits]
    ranked = sorted(range(len(logits)), key=lambda i: (-tempered[i], i))
    kept = ranked[: sampling.top_k] if sampling.top_k else ranked
    top = tempered[ranked[0]]
    total = sum(math.exp(tempered[i] - top) for i in kept)
    nucleus, mass = [], 0.0
    for i in kept:
        if nucleus and mass >= sampling.top_p:
            break
        nucleus.append(i)
        mass += math.exp(tempered[i] - top) / total
    if sampling.top_p == 1.0:
        nucleus = kept
    final = {i for i in nucleus if math.exp(tempered[i] - top) >= sampling.min_p}
    rest = sum(math.exp(tempered[i] - top) for i in final)
    return [math.exp(tempered[i] - top) / rest if i in final else 0.0 for i in range(len(logits))]


@given(
    LOGITS,
    st.sampled_from([0.3, 1.0, 1.7]),
    st.sampled_from([0.05, 0.33, 0.61, 0.97, 1.0]),
    st.integers(0, 8),
    st.sampled_from([0.0, 0.07, 0.41, 1.0]),
)
def test_log_probs_equal_a_brute_force_over_tokens(logits, temperature, top_p, top_k, min_p):
    sampling = Sampling(temperature=temperature, top_p=top_p, top_k=top_k, min_p=min_p)
    law = log_probs(torch.tensor(logits), sampling)
    assert law.exp().tolist() == pytest.approx(brute_force(logits, sampling), abs=1e-6)


def test_top_p_keeps_the_token_that_reaches_the_mass_and_drops_the_next():
    # Probabilities 1/2, 1/4, 1/8, 1/8 are exact in binary: a mass of 3/4 needs two tokens, a little more needs three.
    logits = torch.tensor([0.5, 0.25, 0.125, 0.125]).log()
    assert support(logits, Sampling(top_p=0.75)).tolist() == [True, True, False, False]
    assert support(logits, Sampling(top_p=0.76)).tolist() == [True, True, True, False]


def test_top_p_near_zero_keeps_the_most_probable_token_alone():
    assert support(torch.tensor([1.0, 3.0, 2.0]), Sampling(top_p=1e-9)).tolist() == [False, True, False]


def test_of_equal_tokens_the_lower_ids_stay():
    assert support(torch.zeros(5), Sampling(top_k=2)).tolist() == [True, True, False, False, False]
    assert support(torch.zeros(4), Sampling(top_p=0.5)).tolist() == [True, True, False, False]


def test_top_p_counts_its_mass_after_top_k():
    # 0.4 of all is 0.4 / 0.7 = 0.57 of the first two: enough for a mass of 0.5.
    logits = torch.tensor([0.4, 0.3, 0.2, 0.1]).log()
    assert support(logits, Sampling(top_k=2, top_p=0.5)).tolist() == [True, False, False, False]
    assert support(logits, Sampling(top_p=0.5)).tolist() == [True, True, False, False]


def test_temperature_sharpens_before_truncation():
    # Squared (temperature 1/2): 0.36 to 0.16, so the first holds 0.69 of the mass instead of 0.6.
    logits = torch.tensor([0.6, 0.4]).log()
    assert log_probs(logits, Sampling(temperature=0.5, top_p=0.65)).tolist() == [0.0, -math.inf]
    assert log_probs(logits, Sampling(top_p=0.65)).isfinite().all()


def test_gradient_is_that_of_the_renormalised_distribution():
    logits = torch.tensor([2.0, 1.0, 0.0], requires_grad=True)
    log_probs(logits, Sampling(temperature=2.0, top_k=2))[0].backward()
    # d log softmax_0 / dz = (onehot - p) / T over the two tokens left; p_0 = 1 / (1 + e^-0.5).
    p = 1 / (1 + math.exp(-0.5))
    assert logits.grad is not None
    assert logits.grad.tolist() == pytest.approx([(1 - p) / 2, -(1 - p) / 2, 0.0], abs=1e-6)


def test_half_precision_logits_give_float32_log_probs():
    assert log_probs(torch.zeros(2, 3, dtype=torch.bfloat16), Sampling()).dtype == torch.float32


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"temperature": 0.0}, "temperature is 0.0"),
        ({"temperature": math.inf}, "temperature is inf"),
        ({"top_p": 0.0}, "top_p is 0.0"),
        ({"top_p": 1.5}, "top_p is 1.5"),
        ({"top_k": -1}, "top_k is -1"),
        ({"min_p": 2.0}, "min_p is 2.0"),
        ({"max_new_tokens": 0}, "max_new_tokens is 0"),
    ],
)
def test_values_that_draw_nothing_are_refused_by_their_key(fields, sentence):
    with pytest.raises(ValueError, match=f"generation.sampling.{sentence}"):
        check_sampling(Sampling(**fields))


@pytest.mark.parametrize("vocabulary", [6, 40, 300])
@pytest.mark.parametrize("spread", [0.01, 1.0, 8.0])
@pytest.mark.parametrize(("top_p", "top_k"), [(0.913, 0), (0.999, 0), (1.0, 20), (0.713, 100)])
def test_small_and_large_nuclei_of_large_vocabularies_equal_the_brute_force(vocabulary, spread, top_p, top_k):
    # Whole multiples of 1/4 give ties; no share of the mass is a whole number of equal tokens.
    generator = torch.Generator().manual_seed(vocabulary)
    logits = (torch.randn(12, vocabulary, generator=generator) * spread * 4).round() / 4
    sampling = Sampling(top_p=top_p, top_k=top_k)
    expected = [[p > 0 for p in brute_force(row, sampling)] for row in logits.tolist()]
    assert support(logits.double(), sampling).tolist() == expected
    # In float32 a cut that falls on a border within its rounding may go either way.
    head = logits.double().sort(-1, descending=True).values[:, : top_k or None]
    clear = ~cuts_at_a_border(head, Sampling(top_p=top_p))
    assert clear.sum() >= 11
    assert support(logits, sampling)[clear].tolist() == torch.tensor(expected)[clear].tolist()
