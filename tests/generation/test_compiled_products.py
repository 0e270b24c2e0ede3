"""The compiled product of a few rows with a large weight: against float64, and in the engine of every family."""

import pytest
import torch
from models import greedy_by_generate
from rounding import teacher_forced

from rltf.generation.engine.engine import Engine
from rltf.policies import kernels
from rltf.types import Sampling

pytestmark = pytest.mark.skipif(kernels.load() is None, reason="no C compiler")


@pytest.fixture
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("rows", [1, 3, 8, 9, 16, 23, 33])
@pytest.mark.parametrize(("width", "outputs"), [(1, 1), (16, 7), (40, 12), (288, 6), (300, 769), (600, 1547)])
def test_a_product_equals_its_definition(rows, width, outputs):
    """Outputs by sixes, fours and ones; inputs and outputs of one strip and of several; plain, with a bias, with a
    residual."""
    generator = torch.Generator().manual_seed(rows * width)
    random = lambda *size: torch.randn(*size, generator=generator)  # noqa: E731
    x, weight = random(rows, width), random(outputs, width)
    exact = x.double() @ weight.double().t()
    for base in (None, random(outputs), random(rows, outputs)):
        expected = exact if base is None else exact + base.double()
        product = kernels.load().project(x, weight.t(), base)
        assert torch.allclose(product.double(), expected, rtol=1e-5, atol=1e-4)


def test_a_rows_product_is_the_same_to_the_bit_whatever_shares_its_batch():
    x, weight = torch.randn(20, 300), torch.randn(50, 300).t()
    product = kernels.load().project(x, weight)
    for rows in (1, 7, 12, 17):
        assert torch.equal(kernels.load().project(x[:rows], weight), product[:rows])


def test_only_large_weights_and_few_rows_on_one_thread_are_multiplied_here(one_thread):
    large, small = torch.empty(512, 256).t(), torch.empty(256, 256).t()
    multiplies = kernels.load().multiplies
    assert multiplies(16, large)
    assert not multiplies(16, small)
    assert not multiplies(1, large)
    assert not multiplies(128, large)
    assert not multiplies(16, torch.empty(256, 512))  # (in, out) in memory
    torch.set_num_threads(2)
    assert not multiplies(16, large)


def test_programs_and_log_probs_are_the_models_own_with_every_product_compiled(
    policy, make_requests, monkeypatch, one_thread
):
    monkeypatch.setattr(kernels, "_LARGE", 1)
    monkeypatch.setattr(kernels, "_ROWS", range(1, 1000))
    products = []
    project = kernels.Kernels.project
    monkeypatch.setattr(kernels.Kernels, "project", lambda *arguments: products.append(1) or project(*arguments))
    requests = make_requests([1, 5, 30], 2, greedy=True)
    samples = list(Engine(max_rows=6).sample(policy, requests, Sampling(max_new_tokens=24), seed=3))
    assert len(products) > 24
    for sample in samples:
        request = requests[sample.request]
        logits = teacher_forced(policy, request, sample.token_ids)
        expected = logits.log_softmax(-1).gather(1, torch.tensor(sample.token_ids)[:, None])[:, 0]
        assert torch.allclose(torch.tensor(sample.logprobs), expected, rtol=0, atol=1e-5)
        if sample.draw == -1:
            generated = greedy_by_generate(policy.model, request.prompt_ids, max_new_tokens=24, eos_token_id=1)
            assert list(sample.token_ids) == generated
