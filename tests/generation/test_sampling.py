import pytest
import torch
from rounding import cuts_at_a_border

from rltf.generation.token_sampling import row_key, sample_tokens, uniforms
from rltf.policies import kernels as compiled
from rltf.policies.distribution import log_probs
from rltf.types import Sampling


@pytest.fixture(params=["torch", "compiled"])
def kernels(request):
    """None for torch's."""
    if request.param == "torch":
        return None
    return compiled.load() or pytest.skip("no C compiler")


def splitmix64(state: int) -> int:
    """Plain integers, after the published reference (Vigna, splitmix64.c)."""
    mask = (1 << 64) - 1
    z = state & mask
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
    return z ^ (z >> 31)


def test_streams_are_those_of_splitmix64():
    keys = [0, 1234567, 2**64 - 1]
    expected = [[(splitmix64(key + (t + 1) * 0x9E3779B97F4A7C15) >> 41) / 2**23 for t in range(5)] for key in keys]
    assert uniforms(keys, 5).tolist() == expected


def test_splitmix64_reference_value():
    # First output of splitmix64.c for seed 1234567.
    assert splitmix64(1234567 + 0x9E3779B97F4A7C15) == 6457827717110365317


def test_seed_problem_and_draw_each_name_another_stream():
    keys = {row_key(seed, problem, draw) for seed in (0, 1) for problem in ("a", "b", "1") for draw in (-1, 0, 1, 11)}
    assert len(keys) == 24


def test_uniforms_are_uniform_over_rows_and_over_positions():
    drawn = uniforms([row_key(3, f"p{i}", i) for i in range(4000)], 4)
    assert float(drawn.min()) >= 0.0
    assert float(drawn.max()) < 1.0
    for column in drawn.t():
        counts = torch.histc(column, 20, 0, 1)
        # chi-square with 19 degrees of freedom: 43.8 is its 99.9 % point.
        assert float(((counts - 200) ** 2 / 200).sum()) < 43.8
    assert abs(float(torch.corrcoef(drawn.t())[0, 1])) < 0.06


@pytest.mark.parametrize("sampling", [Sampling(), Sampling(temperature=0.7), Sampling(top_p=0.8, temperature=1.3)])
def test_frequencies_follow_the_distribution(sampling, kernels):
    torch.manual_seed(0)
    logits = torch.randn(1, 12)
    expected = log_probs(logits, sampling).exp()[0] * 20000
    uniform = uniforms([row_key(0, "p", i) for i in range(20000)], 1)[:, 0]
    token, logprob = sample_tokens(logits.expand(20000, -1).clone(), uniform, sampling, None, kernels)
    counts = torch.bincount(token, minlength=12).float()
    support = expected > 0
    assert counts[~support].sum() == 0
    # chi-square with at most 11 degrees of freedom: 31.3 is its 99.9 % point.
    assert float(((counts - expected)[support] ** 2 / expected[support]).sum()) < 31.3
    assert torch.allclose(logprob, log_probs(logits, sampling)[0][token], atol=1e-6)


def test_a_token_of_no_mass_is_never_drawn_even_by_extreme_numbers(kernels):
    logits = torch.tensor([[-torch.inf, 0.0, -torch.inf, 0.0, -torch.inf]]).expand(2, -1).clone()
    token, _ = sample_tokens(logits, torch.tensor([0.0, 1 - 2.0**-23]), Sampling(), None, kernels)
    assert token.tolist() == [1, 3]


def test_greedy_rows_take_the_top_token_at_its_untempered_log_probability(kernels):
    logits = torch.tensor([[0.0, 1.0, 0.5], [3.0, 0.0, 0.0]])
    greedy = torch.tensor([True, False])
    token, logprob = sample_tokens(
        logits.clone(), torch.tensor([0.0, 0.999]), Sampling(temperature=0.1), greedy, kernels
    )
    assert token[0] == 1
    assert logprob[0].item() == pytest.approx(float(logits[0].log_softmax(-1)[1]), abs=1e-6)


@pytest.mark.parametrize("spread", [0.1, 2.0, 6.0])
@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(top_p=0.9),
        Sampling(top_k=5),
        Sampling(top_k=30, top_p=0.8, temperature=0.7),
        Sampling(min_p=0.1),
        Sampling(top_p=0.99, min_p=0.02, temperature=1.5),
    ],
)
@pytest.mark.parametrize("step", [1e-6, 0.5])
def test_sorting_only_the_most_probable_tokens_draws_what_sorting_all_does(spread, sampling, step):
    # With a step of 0.5 logits are often equal, also where the cut falls.
    generator = torch.Generator().manual_seed(0)
    logits = (torch.randn(200, 300, generator=generator) * spread / step).round() * step
    uniform = torch.rand(200, generator=generator)
    token, logprob = sample_tokens(logits, uniform, sampling, None)
    law = log_probs(logits, sampling)
    cumulated = law.exp().double().cumsum(-1)
    target = uniform[:, None].double() * cumulated[:, -1:]
    expected = torch.searchsorted(cumulated, target, right=True)
    # A number within rounding of a border between two tokens may fall to either.
    near = ((cumulated - target).abs().amin(-1) < 1e-5) & (token != expected[:, 0])
    # Equal logits at a cut are all looked at, by the same kernels; others may be cut elsewhere by rounding.
    cut = cuts_at_a_border(logits.double(), sampling)
    shift = cut & ~torch.isclose(logprob, law.gather(-1, token[:, None])[:, 0], atol=1e-4)
    assert (near | shift).sum() <= 2
    clear = ~(near | shift)
    assert torch.equal(token[clear], expected[clear, 0])
    assert torch.allclose(logprob[clear], law.gather(-1, token[:, None])[clear, 0], atol=1e-4)
