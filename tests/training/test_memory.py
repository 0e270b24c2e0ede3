"""Training that runs out of memory goes on in pieces, with the same gradient."""

import csv
import logging

import pytest
import torch

from rltf.algorithms.loss_mix import LossMix
from rltf.commands.train import train
from rltf.training.module import RLTFModule

SMALL = ("debug=default", "report=false", "benchmark.sizes={train: 20, validation: 4, test: 6}")
SMALL += ("warmup.steps=0", "trainer.max_epochs=1", "rollouts={problems: 2, samples: 4, updates: 1, batch_size: 4}")
SMALL += (
    "rollouts.demonstrations=3",
    "trainer.accumulate_grad_batches=3",
    "evaluation.problems=2",
    "model.dropout=0.0",
    "generation.self_check=false",  # the fixture replaces an activation, of which the sampler knows nothing
)


@pytest.fixture
def gradient(composed, tmp_path, monkeypatch, smooth_units):
    """The gradient of the first step of a run in which memory runs out where `scarce(rows, pass)` says."""

    def of(name, scarce=lambda rows, where: False):
        found, seen = [], []
        honest_mix, honest_clip, honest_backward = (
            LossMix.__call__,
            RLTFModule.configure_gradient_clipping,
            RLTFModule._add_gradient,
        )

        def out_of_memory(where):
            if scarce(sum(seen[-1]), where):
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")

        def mixed(self, scored, *more):
            seen.append([len(s.batch.mask_BT) for s in scored.values()])
            out_of_memory("forward")
            return honest_mix(self, scored, *more)

        def add_gradient(self, loss):
            half_way = self._trained[len(self._trained) // 2]
            hook = half_way.register_hook(lambda _: out_of_memory("backward"))
            try:
                honest_backward(self, loss)
            finally:
                hook.remove()

        def clip(self, *args, **options):
            found.append(torch.cat([p.grad.flatten().clone() for p in self._trained]))
            return honest_clip(self, *args, **options)

        with monkeypatch.context() as patch:
            patch.setattr(LossMix, "__call__", mixed)
            patch.setattr(RLTFModule, "_add_gradient", add_gradient)
            patch.setattr(RLTFModule, "configure_gradient_clipping", clip)
            result = train(composed("train", *SMALL, f"paths.output_dir={tmp_path / name}"))
        with (result.folder / "metrics.csv").open(newline="") as file:
            losses = [float(row["loss/total"]) for row in csv.DictReader(file) if row["loss/total"]]
        return found[0], losses[0], seen

    return of


@pytest.mark.slow
def test_pieces_have_the_gradient_of_the_whole(gradient, caplog):
    """Seven rows a micro-batch, four of RL and three demonstrations; three micro-batches a step."""
    whole, loss, seen = gradient("whole")
    assert seen == [[3, 4]] * 3 or seen == [[4, 3]] * 3
    for where in ("forward", "backward"):
        caplog.clear()
        with caplog.at_level(logging.WARNING, logger="rltf"):
            pieces, loss_in_pieces, seen = gradient(where, lambda rows, at, where=where: rows > 2 and at == where)
        assert (pieces - whole).norm() <= 1e-6 * whole.norm()
        assert loss_in_pieces == pytest.approx(loss, rel=1e-5)
        assert [r.message for r in caplog.records] == [
            "training ran out of memory: micro-batches are run in 2 pieces from now on"
        ]
        assert len(seen) == 1 + 3 * 4  # 3 = 2 + 1 demonstrations and 4 = 2 + 2 programs, each of three times

    passes = []

    def third(rows, at):
        passes.append(rows)
        return at == "backward" and len(passes) == 6  # two passes a micro-batch

    again, _, seen = gradient("again", third)
    assert (again - whole).norm() <= 1e-6 * whole.norm()
    assert [sum(rows) for rows in seen[:3]] == [7, 7, 7]
    assert sum(sum(rows) for rows in seen[3:]) == 3 * 7, "those before the one that did not fit are run again"


def test_a_program_that_does_not_fit_alone_is_one_sentence(gradient):
    with pytest.raises(RuntimeError, match=r"^out of memory: training on one program does not fit .*max_new_tokens"):
        gradient("lost", lambda rows, where: True)
