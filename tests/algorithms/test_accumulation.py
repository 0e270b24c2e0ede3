"""The trainer's own division by the accumulation window cancels in the loss mix."""

import lightning.pytorch as L
import pytest
import torch
from objective_batches import batch_of
from torch.utils.data import DataLoader

from rltf.algorithms.loss_mix import LossMix, WeightedObjective, window_divisors
from rltf.algorithms.objective import BatchLogprobs
from rltf.algorithms.reductions import REDUCTIONS
from rltf.algorithms.reinforce import Reinforce
from rltf.algorithms.supervised import Supervised

LENGTHS = [1, 9, 2, 7, 3, 3, 8, 1]
WEIGHTS = torch.linspace(-1, 1, 72).reshape(8, 9)


class OneWeightAToken(L.LightningModule):
    """log p of token t in any row is -exp(w_t): a gradient for each position."""

    def __init__(self, mix):
        super().__init__()
        self.mix = mix
        self.w_T = torch.nn.Parameter(torch.zeros(9))

    def training_step(self, batch, batch_idx):
        parts, divisors = batch
        scored = {
            name: BatchLogprobs(part, -self.w_T.exp()[: part.mask_BT.shape[1]].expand(part.mask_BT.shape))
            for name, part in parts.items()
        }
        return self.mix(scored, divisors).total

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=1.0)


def weights_after_one_step(reduction, size):
    mix = LossMix(WeightedObjective(Supervised(reduction), 0.5), WeightedObjective(Reinforce(reduction=reduction)))
    micro = []
    for start in range(0, 8, size):
        rows = slice(start, start + size)
        micro.append(
            {
                "supervised": batch_of([[1.0] * 9] * size, LENGTHS[::-1][rows]),
                "rl": batch_of(WEIGHTS[rows].tolist(), LENGTHS[rows]),
            }
        )
    accumulate = len(micro)
    divisors = window_divisors([mix.counts(parts) for parts in micro], accumulate)
    module = OneWeightAToken(mix)
    trainer = L.Trainer(
        accelerator="cpu",
        max_epochs=1,
        accumulate_grad_batches=accumulate,
        logger=False,
        barebones=True,
    )
    trainer.fit(module, DataLoader(list(zip(micro, divisors, strict=True)), batch_size=None))
    assert trainer.global_step == 1
    return module.w_T.detach()


@pytest.mark.filterwarnings("ignore:The 'train_dataloader' does not have many workers")
@pytest.mark.filterwarnings("ignore:.isinstance.treespec, LeafSpec.. is deprecated:FutureWarning")  # Lightning 2.6
@pytest.mark.parametrize("reduction", list(REDUCTIONS))
def test_lightning_takes_the_same_step_for_one_by_eight_and_four_by_two(reduction):
    whole = weights_after_one_step(reduction, size=8)
    assert whole.abs().sum() > 0
    for size in (1, 2, 4):
        torch.testing.assert_close(weights_after_one_step(reduction, size), whole, rtol=1e-5, atol=1e-6)
