"""log-probs under a truncated distribution (top-p, top-k, min-p): rows are whole, so blocks are of tokens, not of the
vocabulary, and are recomputed in backward.

The support is taken as constant in the gradient, and always holds the drawn token: a token that older weights drew may
lie outside the support of these, and a log-prob of minus infinity would end the run. On-policy the two agree.

N tokens, C tokens of one chunk, D width, V vocabulary.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from rltf.policies.distribution import support
from rltf.policies.forward.logit_scaling import LogitScaling
from rltf.types import Sampling

CHUNK_BYTES = 32 << 20
"""Size of one chunk of float32 logits; a few such chunks are alive at a time."""


def truncated_logprobs(
    hidden_ND: Tensor,
    weight_VD: Tensor,
    bias_V: Tensor | None,
    target_N: Tensor,
    sampling: Sampling,
    scaling: LogitScaling,
) -> tuple[Tensor, Tensor]:
    """log-probs_N of the targets, tempered, truncated and renormalised, with gradient; entropy_N of the untempered and
    untruncated distribution, without. Arguments as for `rltf.policies.forward.logprobs.head_logprobs`."""
    rows = max(1, CHUNK_BYTES // (4 * len(weight_VD)))
    parts = [
        checkpoint(
            _chunk,
            hidden_CD,
            weight_VD,
            bias_V,
            target_C,
            sampling,
            scaling,
            use_reentrant=False,
            preserve_rng_state=False,  # nothing in a chunk is random
        )
        for hidden_CD, target_C in zip(hidden_ND.split(rows), target_N.split(rows), strict=True)
    ]
    return torch.cat([logprobs for logprobs, _ in parts]), torch.cat([entropy for _, entropy in parts])


def _chunk(
    hidden_CD: Tensor,
    weight_VD: Tensor,
    bias_V: Tensor | None,
    target_C: Tensor,
    sampling: Sampling,
    scaling: LogitScaling,
) -> tuple[Tensor, Tensor]:
    logits_CV = scaling.logits(torch.nn.functional.linear(hidden_CD, weight_VD, bias_V).float())
    with torch.no_grad():
        logprobs_CV = logits_CV.log_softmax(-1)
        entropy_C = -(logprobs_CV.exp() * logprobs_CV).sum(-1)
        support_CV = support(logits_CV / sampling.temperature, sampling).scatter_(-1, target_C.unsqueeze(-1), True)
    tempered_CV = (logits_CV / sampling.temperature).masked_fill(~support_CV, -math.inf)
    return tempered_CV.log_softmax(-1).gather(-1, target_C.unsqueeze(-1)).squeeze(-1), entropy_C
