import pytest
import torch
import torch.multiprocessing
from objective_batches import batch_of

from rltf.algorithms.loss_mix import LossMix, WeightedObjective, window_divisors
from rltf.algorithms.objective import BatchLogprobs
from rltf.algorithms.reinforce import Reinforce
from rltf.training.ranks import mean_over_ranks

LENGTHS = [[[1, 4], [2, 3]], [[4, 4], [4, 4]]]  # rank, micro-batch, row


def test_counts_of_a_single_process_stay_as_they_are():
    counts = [{"rl": 3.0, "supervised": 1.0}]
    assert mean_over_ranks(counts) == counts


def _rank_of_two(rank, rendezvous, results):
    torch.distributed.init_process_group("gloo", init_method=rendezvous, rank=rank, world_size=2)
    model = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(1, 1, bias=False))
    with torch.no_grad():
        model.module.weight.fill_(1.0)
    mix = LossMix(rl=WeightedObjective(Reinforce(reduction="token_mean")))
    micro = [batch_of([[1.0] * 4] * 2, lengths) for lengths in LENGTHS[rank]]
    divisors = window_divisors(mean_over_ranks([mix.counts({"rl": b}) for b in micro]), accumulate=2)
    for i, (batch, divisor) in enumerate(zip(micro, divisors, strict=True)):
        with model.no_sync() if i == 0 else torch.enable_grad():
            logprobs_BT = model(-torch.ones(2, 4, 1) * (rank + 1))[..., 0]
            (mix({"rl": BatchLogprobs(batch, logprobs_BT)}, divisor).total / 2).backward()
    results[rank] = (divisors, model.module.weight.grad.item())
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_ddp_weighs_every_token_alike(tmp_path):
    with torch.multiprocessing.Manager() as manager:
        results = manager.dict()
        torch.multiprocessing.spawn(_rank_of_two, ((tmp_path / "rendezvous").as_uri(), results), nprocs=2)
        found = dict(results)
    # 10 tokens of rank 0 have d(-log p)/dw = 1, 16 of rank 1 have 2: 42/26 a token; a mean of rank means would be 3/2
    for rank in (0, 1):
        divisors, gradient = found[rank]
        assert divisors == [{"rl": 6.5}] * 2
        assert gradient == pytest.approx(42 / 26)
