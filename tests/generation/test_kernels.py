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

    def __init__(self, heads, group, head_dim, biased, windows=(), score_cap=None):
        self.heads, self.group, self.head_dim, self._biased = heads, group, head_dim, biased
        self.kernels, self.windows, self.score_cap = kernels.load(), windows, score_cap

    def distance_bias(self, columns):
        if not self._biased:
            return None
        by_layer = (self.layers,) if self._biased == "by layer" else ()
        return torch.randn(*by_layer, self.heads, columns, generator=torch.Generator().manual_seed(1))


def softmax_attention(query, keys, values, bias, cap, window=None):
    """One query (D,) in float64, of the last `window` keys."""
    scores = keys.double() @ query.double()
    scores = scores if cap is None else cap * (scores / cap).tanh()
    scores = scores if bias is None else scores + bias.double()
    first = 0 if window is None else max(0, len(scores) - window)
    return scores[first:].softmax(0) @ values[first:].double()


SHAPES = [(4, 1, 8), (2, 3, 24), (1, 1, 32), (2, 2, 64), (1, 5, 80)]


@pytest.mark.parametrize(
    ("heads", "group", "width", "biased", "options"),
    [
        *((*shape, biased, {}) for shape in SHAPES for biased in (True, False)),
        (2, 2, 24, "by layer", {}),
        (2, 2, 24, False, {"windows": (None, 21)}),
        (1, 3, 8, "by layer", {"windows": (5, 5), "score_cap": 1.5}),
        (2, 1, 16, False, {"windows": (3, 50), "score_cap": 1.5}),
    ],
)
@pytest.mark.parametrize("kind", ["compiled", "exact", "buckets"])
def test_attention_equals_its_definition(kind, heads, group, width, biased, options):
    """Rows come, age, end and move up; every step's three attentions are checked against plain sums."""
    generator = torch.Generator().manual_seed(0)
    shape = Shape(heads, group, width, biased, **options)
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
        assert cache.prompts.add(states, i) == i
    biases = shape.distance_bias(48)
    rows = []  # of each row in use: its prompt, keys and values of its tokens by layer, and its first step
    for step in range(60):
        if step % 6 == 5:  # the oldest row ends, and the last one takes its place
            oldest = min(range(len(rows)), key=lambda i: rows[i][2])
            cache.release_row(oldest)
            last = rows.pop()
            if oldest < len(rows):
                cache.move_row(len(rows), oldest, step - last[2])
                rows[oldest] = last
        if len(rows) < 5 and step % 3 == 0:
            rows.append([step % 3, [[], []], step])
            cache.admit_rows(torch.tensor([len(rows) - 1]))
        cache.column[len(rows) :] = 0
        cache.prompts.assign_rows(np.array([row[0] for row in rows]))
        size = cache.shape(len(rows), step - min(row[2] for row in rows) + 1)
        cache.begin_step(size)
        for layer in range(2):
            bias_HL = biases[layer] if biased == "by layer" else biases
            window, cap = shape.windows[layer] if shape.windows else None, shape.score_cap
            qkv = random(size.rows, heads * group + 2 * heads, width)
            query = qkv[:, : heads * group]
            expected = []
            for i, (prompt, history, _) in enumerate(rows):
                history[layer].append(qkv[i, heads * group :].view(2, heads, width))
                row_kv = torch.stack(history[layer], 2)
                prompt_kv = states.kv[layer, :, prompt, :, : prompt_lengths[prompt]]
                for h in range(heads):
                    bias = None if bias_HL is None else bias_HL[h, 48 - row_kv.shape[2] :]
                    joined = torch.cat([prompt_kv[:, h], row_kv[:, h]], 1)
                    for g in range(group):
                        q = query[i, h * group + g]
                        expected.append(softmax_attention(q, *row_kv[:, h], bias, cap, window))
                        expected.append(softmax_attention(q, *prompt_kv[:, h], None, cap))
                        expected.append(softmax_attention(q, *joined, None, cap, window))
            attentions = torch.stack(expected).view(len(rows), heads * group, 3, width).unbind(2)
            for i, (attend, x) in enumerate(
                ((cache.self_attention, qkv), (cache.prompt_attention, query), (cache.joint_attention, qkv))
            ):
                if i < 2 or not biased:
                    actual = attend(layer, x)[: len(rows)].view(attentions[i].shape)
                    assert torch.allclose(actual.double(), attentions[i], atol=2e-5)
        cache.column[: size.rows] += 1


def test_a_row_that_has_ended_reads_and_writes_nothing():
    shape = Shape(1, 1, 16, False)
    cache = make_cache(shape, 2, 16, 1, 1)
    assert isinstance(cache, CompiledCache)
    cache.admit_rows(torch.tensor([0, 1]))
    cache.prompts.assign_rows(np.zeros(2, dtype=np.int64))
    cache.release_row(1)
    for _ in range(16):
        out = cache.self_attention(0, torch.ones(2, 3, 16))
        cache.column += 1
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


@pytest.mark.parametrize("width", [8, 24])
def test_root_mean_square_norm_in_place(width):
    """Of each of three heads, or of all as one; what lies around them in a row stays."""
    generator = torch.Generator().manual_seed(width)
    x, scale = torch.randn(5, 6, 8, generator=generator), torch.randn(width, generator=generator)
    wide = x[:, 2:5].double().reshape(5, -1, width)
    wide = wide / (wide.square().mean(-1, keepdim=True) + 1e-6).sqrt() * scale.double()
    expected = torch.cat([x[:, :2], wide.float().view(5, 3, 8), x[:, 5:]], 1)
    kernels.load().rms_norm_parts_(x[:, 2:5], scale, 1e-6)
    assert torch.allclose(x, expected, atol=1e-6)


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
    assert "decoding goes without compiled kernels" in caplog.text


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
