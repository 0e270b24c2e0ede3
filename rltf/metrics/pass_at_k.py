"""pass@k: the probability that at least one of k programs passes, estimated from n >= k programs a problem.

The estimator 1 - C(n-c, k) / C(n, k) is unbiased (Chen et al. 2021, arXiv 2107.03374, equation 1), computed in exact
integers. The mean over the problems of all ranks is `rltf.metrics.mean_pass_at_k`, which needs torch.
"""

from __future__ import annotations

from math import comb


def pass_at_k(n: int, c: int, k: int) -> float:
    """Unbiased estimate from one problem.

    Args:
        n: programs drawn.
        c: of these, programs that passed.
        k: programs one may submit, at most `n`.

    Example:
        >>> pass_at_k(n=5, c=2, k=2)
        0.7
    """
    if not 1 <= k <= n:
        raise ValueError(f"k of pass@k is {k}, expected between 1 and the {n} programs drawn a problem")
    if not 0 <= c <= n:
        raise ValueError(f"{c} programs passed of {n}, expected between 0 and {n}")
    return 1.0 - comb(n - c, k) / comb(n, k)
