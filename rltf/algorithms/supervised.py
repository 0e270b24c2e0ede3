"""Cross-entropy on demonstrations: L_sl = -sum_t log p(w_t | w_<t, D) (RLTF, section 3.1); on the policy's own programs
where it is the RL term (`rltf.credit.own_samples`)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from rltf.algorithms.objective import BatchLogprobs, Loss, Need
from rltf.algorithms.ratios import masked_mean
from rltf.algorithms.reductions import find_reduction
from rltf.types import RolloutBatch


@dataclass(frozen=True)
class Supervised:
    """Maximum likelihood of demonstrations, weighted by `batch.weight_BT` (1 for plain demonstrations)."""

    reduction: str = "sequence_sum"
    """`sequence_sum`, `token_mean` or `sequence_mean`."""

    def __post_init__(self) -> None:
        find_reduction(self.reduction)

    @property
    def own_distribution(self) -> bool:
        """True: log-probs are those of the policy's own distribution, whatever programs were drawn from."""
        return True

    @property
    def needs(self) -> frozenset[Need]:
        """Nothing beside log-probs."""
        return frozenset()

    @property
    def reads_zero_weights(self) -> bool:
        """False: rows whose tokens all weigh 0 have no loss."""
        return False

    def count(self, batch: RolloutBatch) -> Tensor:
        """Number of tokens or sequences in the batch, by the reduction."""
        return find_reduction(self.reduction).count(batch.mask_BT)

    def __call__(self, scored: BatchLogprobs) -> Loss:
        """Weighted negative log-likelihood. Metric `nll`: nats per token, with every reduction."""
        batch, logprobs_BT = scored.batch, scored.logprobs_BT
        terms_BT = -batch.weight_BT * logprobs_BT
        return Loss(
            total=find_reduction(self.reduction).total(terms_BT, batch.mask_BT),
            count=self.count(batch),
            metrics={"nll": masked_mean(-logprobs_BT, batch.mask_BT)},
        )
