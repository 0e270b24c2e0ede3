"""What the DataModule hands out, without a Trainer."""

import pytest
import torch

from rltf.benchmarks.mini import Mini
from rltf.policies.tiny import tiny_t5
from rltf.rollouts.groups import PendingRollouts
from rltf.rollouts.packing import PackedRollout
from rltf.training.datamodule import order_by_prompt
from rltf.training.demonstrations import POOL_BATCHES, Demonstrations
from rltf.training.micro_batches import Stream
from rltf.types import FinishReason, Outcome, Problem, Program, Rollout, StdioTest, Verdict

SIZES = {"train": 60, "validation": 1, "test": 1}


def rollout(problem_id, length, draw=0, prompt=2):
    program = Program(
        problem_id, "x", (3,) * prompt, tuple(range(3, 3 + length)), ((0, 0),) * length, (-0.5,) * length,
        FinishReason.EOS, draw=draw,
    )  # fmt: skip
    return Rollout(program, Verdict(Outcome.PASSED, 1, 1), (), 1.0, 0.0, 1.0)


def test_a_stream_that_gives_too_little_is_an_error():
    with pytest.raises(RuntimeError, match="promised 3 batches and gave 2"):
        list(Stream(3, lambda: [1, 2]))


def test_rollouts_of_a_problem_stay_together_and_prompts_grow():
    given = [
        rollout("a", 9, prompt=7),
        rollout("b", 2, prompt=5),
        rollout("a", 3, 1, 7),
        rollout("c", 5),
        rollout("b", 4, 1, 5),
    ]
    order = [(r.program.problem_id, len(r.program.token_ids)) for r in order_by_prompt(given)]
    assert order == [("c", 5), ("b", 2), ("b", 4), ("a", 9), ("a", 3)]


@pytest.fixture(scope="module")
def policy():
    return tiny_t5(d_model=16, d_ff=16, layers=1, heads=2)


def demonstrations(policy, **options):
    mini = Mini(sizes=SIZES)
    return Demonstrations(mini, policy, mini.problems("train"), options.pop("max_tokens", 80), seed=3, **options)


def test_every_demonstration_comes_once_before_any_comes_twice(policy):
    source = demonstrations(policy)
    size = len(source) // POOL_BATCHES
    rows = [row for _ in range(POOL_BATCHES) for row in source.batch(size).response_BT.tolist()]
    texts = [tuple(t for t in row if t != policy.pad_id) for row in rows]
    pairs = len({(text, i) for i, text in enumerate(texts)})
    assert pairs == POOL_BATCHES * size
    assert len(texts) == POOL_BATCHES * size


def test_batches_have_answers_of_like_length(policy):
    source = demonstrations(policy)
    real = processed = 0
    for _ in range(POOL_BATCHES):
        mask = source.batch(3).mask_BT
        real, processed = real + int(mask.sum()), processed + mask.numel()
    assert real / processed > 0.9


def test_long_answers_are_left_out_and_counted_never_cut(policy):
    everything, short = demonstrations(policy), demonstrations(policy, max_tokens=12)
    assert 0 < len(short) < len(everything)
    assert short.too_long == len(everything) - len(short)
    assert short.batch(8).response_BT.shape[1] <= 12


class WithoutLineEnds:
    """A policy whose tokenizer drops line ends, as T5's does, from answers that hold a mark."""

    def __init__(self, policy, mark):
        self.policy, self.mark = policy, mark

    def __getattr__(self, name):
        return getattr(self.policy, name)

    def encode_answer(self, text):
        return self.policy.encode_answer(" ".join(text.split()) if self.mark in text else text)


def test_a_tokenizer_that_drops_line_ends_is_refused_with_counts_and_an_example(policy):
    with pytest.raises(ValueError, match=r"^model\.path holds a \w+ that loses text, ") as error:
        demonstrations(WithoutLineEnds(policy, "\n"))
    sentence = str(error.value)
    lines = [p.demonstrations[0] for p in Mini(sizes=SIZES).problems("train") if "\n" in p.demonstrations[0]]
    assert f"{len(lines)} of {SIZES['train']} demonstrations come back changed from encoding and decoding" in sentence
    assert "became" in sentence
    assert "mini/" in sentence
    assert "expected at most 5%" in sentence


def test_up_to_one_in_twenty_changed_demonstrations_are_told_and_left_out(policy, caplog):
    texts = [p.demonstrations[0] for p in Mini(sizes=SIZES).problems("train")]
    mark = next(line for text in texts for line in text.splitlines() if 1 <= sum(line in t for t in texts) <= 3)
    changed = sum(mark in text and "\n" in text for text in texts)
    with caplog.at_level("WARNING", "rltf"):
        source = demonstrations(WithoutLineEnds(policy, mark))
    assert 1 <= changed <= 0.05 * len(texts)
    assert (len(source), source.changed) == (len(texts) - changed, changed)
    [message] = caplog.messages
    assert message.startswith(f"{changed} of {len(texts)} demonstrations come back changed from encoding and decoding")


def test_demonstrations_go_on_from_a_checkpoint(policy):
    source = demonstrations(policy)
    for _ in range(5):
        source.batch(4)
    state = source.state_dict()
    expected = [source.batch(4).response_BT for _ in range(20)]
    again = demonstrations(policy)
    again.load_state_dict(state)
    assert all(torch.equal(again.batch(4).response_BT, batch) for batch in expected)


def test_no_demonstration_is_one_sentence(policy):
    with pytest.raises(ValueError, match=r"algorithm\.mix\.supervised=null"):
        demonstrations(policy, max_tokens=1).batch(1)


def test_pending_programs_survive_a_checkpoint(tmp_path):
    from concurrent.futures import Future

    problem = Problem("p", "", (StdioTest("", ""),))
    program = rollout("p", 4).program
    done: Future[Verdict] = Future()
    done.set_result(Verdict(Outcome.WRONG_ANSWER, 1, 2))
    torch.save(PendingRollouts(((problem, (program,), (done,)),)).state_dict(), tmp_path / "state.pt")
    restored = PendingRollouts.restore(torch.load(tmp_path / "state.pt", weights_only=True), {"p": problem})
    ((found, programs, futures),) = restored.groups
    assert found is problem
    assert programs == (PackedRollout.pack(rollout("p", 4)).unpack().program,)
    assert futures[0].result() == Verdict(Outcome.WRONG_ANSWER, 1, 2)
