"""The compiled kernels against float64 arithmetic, and what happens where they cannot be compiled."""

import logging
import os
import stat

import numpy as np
import pytest
import torch

from rltf.policies import kernels
from rltf.policies.decoding import PromptStates, make_cache
from rltf.policies.decoding.cache_c import CompiledCache
from rltf.policies.decoding.cache_torch import StaticCache

pytestmark = pytest.mark.skipif(kernels.load() is None, reason="no C compiler")


class Shape:
    """What a cache asks of a decoder."""

    device, dtype, layers = torch.device("cpu"), torch.float32, 2

    def __init__(self, heads, group, head_dim, biased):
        self.heads, self.group, self.head_dim, self._biased = heads, group, head_dim, biased
        self.kernels = kernels.load()

    def distance_bias(self, columns):
        if not self._biased:
            return None
        return torch.randn(self.heads, columns, generator=torch.Generator().manual_seed(1))


def softmax_attention(query, keys, values, bias):
    """One query (D,) in float64."""
    scores = keys.double() @ query.double()
    scores = scores if bias is None else scores + bias.double()
    return scores.softmax(0) @ values.double()


@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize(("heads", "group", "width"), [(4, 1, 8), (2, 3, 24), (1, 1, 32), (2, 2, 64), (1, 5, 80)])
@pytest.mark.parametrize("kind", ["compiled", "exact", "buckets"])
def test_attention_equals_its_definition(kind, heads, group, width, biased):
    """Rows come, age, end and move up; every step's three attentions are checked against plain sums."""
    generator = torch.Generator().manual_seed(0)
    shape = Shape(heads, group, width, biased)
    prompt_lengths = [19, 1, 40]
    random = lambda *size: torch.randn(*size, generator=generator)  # noqa: E731
    if kind == "compiled":
        cache = CompiledCache(shape, shape.kernels, 7, 48, 3, 40)
    else:
        cache = StaticCache(shape, 7, 48, 3, 40, buckets=kind == "buckets")
    states = PromptStates(
        random(2, 2, 3, heads, 40, width),
        torch.arange(40) < torch.tensor(prompt_lengths)[:, None],
        torch.zeros(3, dtype=torch.long),
        torch.zeros(3, dtype=torch.long),
    )
    for i in range(3):
        assert cache.prompts.put(states, i) == i
    bias_HL = shape.distance_bias(48)
    held = []  # of each row in use: its prompt, then keys and values of its tokens, by layer
    for step in range(60):
        if step % 6 == 5:  # the oldest row ends, and the last one takes its seat
            oldest = min(range(len(held)), key=lambda i: held[i][2])
            cache.vacate(oldest)
            last = held.pop()
            if oldest < len(held):
                cache.move(len(held), oldest, step - last[2])
                held[oldest] = last
        if len(held) < 5 and step % 3 == 0:
            held.append([step % 3, [[], []], step])
            cache.begin(torch.tensor([len(held) - 1]))
        cache.age[len(held) :] = 0
        cache.prompts.arrange(np.array([row[0] for row in held]))
        size = cache.shape(len(held), step - min(row[2] for row in held) + 1)
        cache.tick(size)
        for layer in range(2):
            qkv = random(size.rows, heads * group + 2 * heads, width)
            query = qkv[:, : heads * group]
            expected = []
            for i, (prompt, history, _) in enumerate(held):
                history[layer].append(qkv[i, heads * group :].view(2, heads, width))
                own = torch.stack(history[layer], 2)
                given = states.kv[layer, :, prompt, :, : prompt_lengths[prompt]]
                for h in range(heads):
                    bias = None if bias_HL is None else bias_HL[h, 48 - own.shape[2] :]
                    joined = torch.cat([given[:, h], own[:, h]], 1)
                    for g in range(group):
                        q = query[i, h * group + g]
                        expected.append(softmax_attention(q, *own[:, h], bias))
                        expected.append(softmax_attention(q, *given[:, h], None))
                        expected.append(softmax_attention(q, *joined, None))
            wanted = torch.stack(expected).view(len(held), heads * group, 3, width)
            found = cache.own(layer, qkv)[: len(held)].view(wanted[:, :, 0].shape)
            assert torch.allclose(found.double(), wanted[:, :, 0], atol=2e-5)
            found = cache.given(layer, query)[: len(held)].view(wanted[:, :, 1].shape)
            assert torch.allclose(found.double(), wanted[:, :, 1], atol=2e-5)
            if not biased:
                found = cache.both(layer, qkv)[: len(held)].view(wanted[:, :, 2].shape)
                assert torch.allclose(found.double(), wanted[:, :, 2], atol=2e-5)
        cache.age[: size.rows] += 1


def test_a_row_that_has_ended_reads_and_writes_nothing():
    shape = Shape(1, 1, 16, False)
    cache = make_cache(shape, 2, 16, 1, 1)
    assert isinstance(cache, CompiledCache)
    cache.begin(torch.tensor([0, 1]))
    cache.prompts.arrange(np.zeros(2, dtype=np.int64))
    cache.vacate(1)
    for _ in range(16):
        out = cache.own(0, torch.ones(2, 3, 16))
        cache.age += 1
    assert out[0].eq(1).all()
    assert out[1].eq(0).all()
    assert cache.blocks.keys[0, 1].eq(0).all()


@pytest.mark.parametrize("width", [1, 15, 16, 100, 128])
def test_root_mean_square_norm(width):
    generator = torch.Generator().manual_seed(width)
    x, scale = torch.randn(5, width, generator=generator), torch.randn(width, generator=generator)
    wide = x.double()
    expected = wide / (wide.square().mean(-1, keepdim=True) + 1e-6).sqrt() * scale.double()
    assert torch.allclose(kernels.load().rms_norm(x, scale, 1e-6).double(), expected, atol=1e-6)


@pytest.mark.parametrize("vocabulary", [3, 16, 1000, 1024, 5000])
@pytest.mark.parametrize("spread", [0.5, 30.0])
def test_drawn_tokens_are_the_first_whose_cumulated_probability_exceeds_the_number(vocabulary, spread):
    generator = torch.Generator().manual_seed(vocabulary)
    logits = torch.randn(300, vocabulary, generator=generator) * spread
    number = torch.rand(300, generator=generator)
    token, logprob = kernels.load().sample_tokens(logits, number, 0.7, None)
    law = (logits.double() / 0.7).softmax(-1)
    cumulated = law.cumsum(-1)
    expected = torch.searchsorted(cumulated, number[:, None].double(), right=True)[:, 0].clamp(max=vocabulary - 1)
    near = (cumulated - number[:, None]).abs().amin(-1) < 3e-6
    assert torch.equal(token[~near], expected[~near])
    assert near.sum() < 20
    assert torch.allclose(logprob.double(), law.gather(-1, token[:, None])[:, 0].log(), atol=2e-5)


def test_turning_pairs_is_complex_multiplication():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(3, 4, 12, generator=generator)
    turn = torch.polar(torch.ones(3, 1, 5), torch.randn(3, 1, 5, generator=generator))
    expected = x.clone()
    expected[..., :10] = torch.view_as_real(torch.view_as_complex(x[..., :10].unflatten(-1, (5, 2))) * turn).flatten(-2)
    kernels.load().rotate_(x, turn)
    assert torch.allclose(x, expected, atol=1e-6)


@pytest.fixture
def fresh(monkeypatch, tmp_path):
    """As on a machine where nothing has been compiled yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    kernels.load.cache_clear()
    yield tmp_path / "rltf"
    kernels.load.cache_clear()


def test_the_library_is_compiled_once_into_the_users_own_folder(fresh):
    assert kernels.load() is not None
    (library,) = fresh.iterdir()
    assert stat.S_IMODE(fresh.stat().st_mode) == 0o700
    made = library.stat().st_mtime_ns
    kernels.load.cache_clear()
    assert kernels.load() is not None
    assert library.stat().st_mtime_ns == made


def test_a_folder_that_others_may_write_to_is_not_used(fresh):
    fresh.mkdir()
    os.chmod(fresh, 0o777)
    assert kernels.load() is not None
    assert not list(fresh.iterdir())


@pytest.mark.parametrize("compiler", ["no-such-compiler", "false"])
def test_without_a_compiler_torch_does_the_work_and_the_log_says_so(fresh, monkeypatch, caplog, compiler):
    monkeypatch.setenv("CC", compiler)
    with caplog.at_level(logging.INFO):
        assert kernels.load() is None
    assert "decoding and training go without compiled kernels" in caplog.text


def test_half_precision_and_many_threads_are_left_to_torch():
    model = torch.nn.Linear(2, 2)
    assert kernels.kernels_for(model) is not None
    assert kernels.kernels_for(model.bfloat16()) is None
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(8)
        assert kernels.kernels_for(model.float()) is None
    finally:
        torch.set_num_threads(threads)
