"""log-probs of drawn tokens from hidden states, without the full-vocabulary logits ever lying in memory.

The language-model head is applied to all tokens for one block of the vocabulary at a time. Forward stores one number
per token (the log-sum-exp) and the first few blocks; backward multiplies the head once more for the others, and turns
each block into its gradient while it is in the processor's cache. That is almost four matrix products where the
textbook way needs three, yet as fast on a CPU, because the textbook way moves N x V float32 numbers through memory
about ten times (tests/perf/logprobs.py measures both).

N tokens, D width, V vocabulary, K tokens of one block.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from rltf.policies.distribution import truncates
from rltf.policies.forward.logit_scaling import PLAIN, LogitScaling
from rltf.policies.forward.truncated_logprobs import truncated_logprobs
from rltf.types import Sampling

BLOCK_BYTES = {"cpu": 8 << 20, "cuda": 256 << 20}
"""Size of one block of float32 logits: on a CPU what fits into its cache, on a GPU enough work for a kernel."""
STORED_BYTES = {"cpu": 16 << 20, "cuda": 256 << 20}
"""Least size of the blocks that are stored for backward, which need not be computed again: all of a small
vocabulary."""
STORED_SHARE = 1 / 8
"""Least share of all logits that is stored for backward."""
_MIN_BLOCK = 256


def head_logprobs(
    hidden_ND: Tensor,
    weight_VD: Tensor,
    bias_V: Tensor | None,
    target_N: Tensor,
    sampling: Sampling | None,
    entropy: bool = True,
    scaling: LogitScaling = PLAIN,
) -> tuple[Tensor, Tensor]:
    """log-probs_N of the targets, with gradient, and entropy_N of the untempered distribution, without; both float32.

    Args:
        hidden_ND: what the head reads, scaled as the model scales it. Any floating type.
        weight_VD: the head's weight; products run in its type, or in autocast's where that is on.
        bias_V: the head's bias (CodeGen, BART), or None.
        target_N: int64 token ids.
        sampling: the distribution the targets were drawn from; None for the model's own. Where it truncates, a target
            outside the support (drawn from older weights) counts as inside, so that its log-prob stays finite.
        entropy: whether to compute the entropy; zeros otherwise, where that saves work.
        scaling: from the products of the head to logits.
    """
    if torch.is_autocast_enabled(hidden_ND.device.type):
        weight_VD = weight_VD.to(torch.get_autocast_dtype(hidden_ND.device.type))
    hidden_ND = hidden_ND.to(weight_VD.dtype)
    bias_V = None if bias_V is None else bias_V.to(weight_VD.dtype)
    if sampling is not None and truncates(sampling):
        return truncated_logprobs(hidden_ND, weight_VD, bias_V, target_N, sampling, scaling)
    temperature = 1.0 if sampling is None else sampling.temperature
    logprobs_N, entropy_N = _BlockedHead.apply(hidden_ND, weight_VD, bias_V, target_N, temperature, entropy, scaling)
    return logprobs_N, entropy_N


def target_logits(
    hidden_ND: Tensor, weight_VD: Tensor, bias_V: Tensor | None, target_N: Tensor, scaling: LogitScaling = PLAIN
) -> Tensor:
    """Float32 logit_N of each target, with gradient: one product of its hidden state with its own row of the head, in
    the types that `head_logprobs` multiplies in.

    Args:
        hidden_ND: what the head reads, scaled as the model scales it. Any floating type.
        weight_VD: the head's weight.
        bias_V: the head's bias, or None.
        target_N: int64 token ids.
        scaling: from the products of the head to logits.
    """
    if torch.is_autocast_enabled(hidden_ND.device.type):
        weight_VD = weight_VD.to(torch.get_autocast_dtype(hidden_ND.device.type))
    # Products of short types are exact in float32, in which a head adds them up, too.
    products_ND = hidden_ND.to(weight_VD.dtype).float() * weight_VD[target_N].float()
    product_N = products_ND.sum(-1)
    if bias_V is not None:
        product_N = product_N + bias_V.to(weight_VD.dtype)[target_N].float()
    return scaling.logits(product_N)


class _BlockedHead(torch.autograd.Function):
    """log softmax(scaling.logits(hidden @ weight.T + bias) / temperature)[target]."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden_ND: Tensor,
        weight_VD: Tensor,
        bias_V: Tensor | None,
        target_N: Tensor,
        temperature: float,
        entropy: bool,
        scaling: LogitScaling,
    ) -> tuple[Tensor, Tensor]:
        """One pass over the vocabulary with running sums (the online softmax of Milakov and Gimelshein, 2018)."""
        untempered = _RunningSoftmax(hidden_ND)
        tempered = untempered if temperature == 1.0 else _RunningSoftmax(hidden_ND)
        target_logit_N = torch.zeros(len(hidden_ND), device=hidden_ND.device)
        budget = _stored_bytes(hidden_ND, weight_VD) if any(ctx.needs_input_grad) else 0
        stored_blocks: list[Tensor] = []
        for block in _blocks(hidden_ND, weight_VD):
            logits_NK = _logits(hidden_ND, weight_VD, bias_V, block, scaling)
            inside_N, column_N1 = _columns(target_N, block)
            target_logit_N = torch.where(inside_N, logits_NK.gather(-1, column_N1).squeeze(-1), target_logit_N)
            if entropy or tempered is untempered:
                untempered.add(logits_NK, with_entropy=entropy)
            if tempered is not untempered:
                tempered.add(logits_NK.div_(temperature), with_entropy=False)
            budget -= logits_NK.nbytes
            if budget >= 0:
                stored_blocks.append(logits_NK)
        lse_N = tempered.logsumexp()
        entropy_N = untempered.entropy() if entropy else torch.zeros_like(lse_N)
        ctx.save_for_backward(hidden_ND, weight_VD, bias_V, target_N, lse_N, *stored_blocks)
        ctx.temperature, ctx.scaling = temperature, scaling
        ctx.mark_non_differentiable(entropy_N)
        return target_logit_N / temperature - lse_N, entropy_N

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_N: Tensor, _entropy: Tensor) -> tuple[Tensor | None, ...]:
        """d logits = grad * (one-hot - softmax) / temperature, block by block, times the slope of a cap. A token's
        factor goes to the small (N, D) matrices, so that a block is passed over as few times as can be."""
        hidden_ND, weight_VD, bias_V, target_N, lse_N, *stored_blocks = ctx.saved_tensors
        lse_N1 = lse_N.unsqueeze(-1)
        to_hidden, to_weight, to_bias = ctx.needs_input_grad[:3]
        temperature, scaling = ctx.temperature, ctx.scaling
        factor_N1 = (grad_N.float() * (scaling.scale / -temperature)).unsqueeze(-1)
        scaled_ND = (hidden_ND * factor_N1).to(hidden_ND.dtype)
        d_hidden = torch.zeros_like(hidden_ND, dtype=torch.float32) if to_hidden else None
        d_weight = torch.empty_like(weight_VD) if to_weight else None
        d_bias = torch.empty_like(bias_V) if to_bias and bias_V is not None else None
        for index, block in enumerate(_blocks(hidden_ND, weight_VD)):
            if index < len(stored_blocks):
                slope_NK = scaling.cap_slope(stored_blocks[index], temperature)
                error_NK = (stored_blocks[index] - lse_N1).exp_()
            else:
                error_NK = _logits(hidden_ND, weight_VD, bias_V, block, scaling)
                if temperature != 1.0:
                    error_NK.div_(temperature)
                slope_NK = scaling.cap_slope(error_NK, temperature)
                error_NK.sub_(lse_N1).exp_()
            inside_N, column_N1 = _columns(target_N, block)
            error_NK.scatter_add_(-1, column_N1, -inside_N.float().unsqueeze(-1))
            if slope_NK is not None:
                error_NK.mul_(slope_NK)
            if d_bias is not None:
                d_bias[block] = (error_NK.t() @ factor_N1).squeeze(-1)
            error_NK = error_NK.to(weight_VD.dtype)
            if d_weight is not None:
                torch.mm(error_NK.t(), scaled_ND, out=d_weight[block])
            if d_hidden is not None:
                _add_product(d_hidden, error_NK, weight_VD[block])
        if d_hidden is not None:
            d_hidden = d_hidden.mul_(factor_N1).to(hidden_ND.dtype)
        return d_hidden, d_weight, d_bias, None, None, None, None


class _RunningSoftmax:
    """Log-sum-exp and entropy of rows whose logits come block by block."""

    def __init__(self, hidden_ND: Tensor) -> None:
        self._lse_N1 = torch.full((len(hidden_ND), 1), -1e30, device=hidden_ND.device)  # of no logits; finite
        self._entropy_N1 = torch.zeros_like(self._lse_N1)

    def add(self, logits_NK: Tensor, with_entropy: bool) -> None:
        """Adds a block of logits; for the entropy, too, if `with_entropy`."""
        block_N1, entropy_N1 = _logsumexp(logits_NK, with_entropy)
        lse_N1 = torch.logaddexp(self._lse_N1, block_N1)
        if entropy_N1 is not None:  # by small terms: shares add up to 1 only almost, which a mean logit would show
            old_N1, new_N1 = self._lse_N1 - lse_N1, block_N1 - lse_N1  # logs of the shares of all mass
            self._entropy_N1 = old_N1.exp() * (self._entropy_N1 - old_N1) + new_N1.exp() * (entropy_N1 - new_N1)
        self._lse_N1 = lse_N1

    def logsumexp(self) -> Tensor:
        """Log-sum-exp of each row, (N,)."""
        return self._lse_N1.squeeze(-1)

    def entropy(self) -> Tensor:
        """Entropy of each row in nats, (N,)."""
        return self._entropy_N1.squeeze(-1)


def _logsumexp(logits_NK: Tensor, with_entropy: bool) -> tuple[Tensor, Tensor | None]:
    """Log-sum-exp of a block and, if `with_entropy`, the entropy of its softmax, each (N, 1)."""
    logprobs_NK = logits_NK.log_softmax(-1)  # one kernel, where log-sum-exp takes four
    # the difference is the same in every column, and most exact where both are small
    lse_N1 = logits_NK.amax(-1, keepdim=True) - logprobs_NK.amax(-1, keepdim=True)
    return lse_N1, -logprobs_NK.exp().mul_(logprobs_NK).sum(-1, keepdim=True) if with_entropy else None


def _stored_bytes(hidden_ND: Tensor, weight_VD: Tensor) -> int:
    least = STORED_BYTES.get(hidden_ND.device.type, STORED_BYTES["cuda"])
    return max(least, int(STORED_SHARE * 4 * len(hidden_ND) * len(weight_VD)))


def _blocks(hidden_ND: Tensor, weight_VD: Tensor) -> Iterator[slice]:
    budget = BLOCK_BYTES.get(hidden_ND.device.type, BLOCK_BYTES["cuda"])
    width = max(_MIN_BLOCK, budget // (4 * max(1, len(hidden_ND))))
    return (slice(start, min(start + width, len(weight_VD))) for start in range(0, len(weight_VD), width))


def _logits(
    hidden_ND: Tensor, weight_VD: Tensor, bias_V: Tensor | None, block: slice, scaling: LogitScaling = PLAIN
) -> Tensor:
    """Float32 logits of a block, (N, K); products are rounded as the model itself rounds them."""
    bias_K = None if bias_V is None else bias_V[block]
    return scaling.logits_(torch.nn.functional.linear(hidden_ND, weight_VD[block], bias_K).float())


def _columns(target_N: Tensor, block: slice) -> tuple[Tensor, Tensor]:
    """Which targets lie in the block, and their columns in it (column 0 for the others), (N, 1)."""
    inside_N = (target_N >= block.start) & (target_N < block.stop)
    return inside_N, torch.where(inside_N, target_N - block.start, 0).unsqueeze(-1)


def _add_product(sum_ND: Tensor, left_NK: Tensor, right_KD: Tensor) -> None:
    """sum += left @ right, in float32 where the products are in a shorter type: dozens of blocks add up."""
    if left_NK.dtype == sum_ND.dtype:
        sum_ND.addmm_(left_NK, right_KD)
    else:
        sum_ND.add_(left_NK @ right_KD)
