"""Responses to one prompt that begin alike share what is computed of their common beginning.

What a decoder computes at a token depends on the prompt and on the tokens before it. So the responses to a prompt make
a tree, which branches where they part, and each of its nodes runs once: programs of one problem are often the same, or
differ in their last tokens. A node sees itself and the nodes on the way to it (tree attention), which is what its
responses see; gradients add up.

B rows, T response tokens, N real response tokens, P prompts, M nodes of the largest tree.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

MAX_NODES = 512
"""Largest tree: attention within it needs memory and work with the square of its nodes."""
MIN_SAVED_SHARE = 0.1
"""Share of the response tokens that trees must save, to be worth more than rows of like length."""


@dataclass(frozen=True, slots=True)
class ResponseTrees:
    """The tree of each prompt's responses. A node is the place from which a token is drawn."""

    sizes: list[int]
    """Nodes of each tree."""
    input_PM: Tensor
    """int64: the token that is read at a node; the start token at the root. 0 at padding."""
    depth_PM: Tensor
    """int64: nodes before it on its way; 0 at padding."""
    sees_PMM: Tensor
    """bool: [p, m, k] is True where node m attends to node k. Padding sees itself."""
    token_N: Tensor
    """int64: each real token's index in the flattened (B, T)."""
    node_N: Tensor
    """int64: the node that it is drawn from, as index in the flattened (P, M)."""


def response_trees(
    prompts: int, prompt_index_B: Tensor, response_BT: Tensor, mask_BT: Tensor, start_id: int
) -> ResponseTrees | None:
    """The trees of a batch; None where they save too little, or are too large.

    Args:
        prompts: P.
        prompt_index_B: int64: the prompt of each row.
        response_BT: int64 token ids.
        mask_BT: bool, True at real tokens, which come first in a row.
        start_id: the token that a decoder reads first.
    """
    prompt_B, response, mask = (tensor.cpu().numpy() for tensor in (prompt_index_B, response_BT, mask_BT))
    real_tokens = int(mask.sum())
    inputs = np.concatenate([np.full_like(response[:, :1], start_id), response[:, :-1]], axis=1)
    inputs[~mask] = -1
    order = np.lexsort((*inputs.T[::-1], prompt_B))
    prompt_B, inputs, mask = prompt_B[order], inputs[order], mask[order]
    shared = (inputs[1:] == inputs[:-1]) & mask[1:] & (prompt_B[1:] == prompt_B[:-1])[:, None]
    is_new = mask.copy()  # a node that the row before does not have
    is_new[1:] &= ~np.logical_and.accumulate(shared, axis=1)
    row, depth = is_new.nonzero()
    nodes = len(row)
    sizes = np.bincount(prompt_B[row], minlength=prompts)
    if real_tokens - nodes < MIN_SAVED_SHARE * real_tokens or sizes.max() > MAX_NODES or not sizes.min():
        return None
    largest = int(sizes.max())
    # Nodes are numbered row by row, so a column's numbers never fall and a row takes over those of the row before.
    number = np.full(mask.shape, -1)
    number[row, depth] = np.arange(nodes)
    number = np.maximum.accumulate(number, axis=0)
    prompt = prompt_B[row]
    place = np.arange(nodes) - (np.cumsum(sizes) - sizes)[prompt]  # in the tree
    input_PM, depth_PM = (np.zeros((prompts, largest), dtype=np.int64) for _ in range(2))
    input_PM[prompt, place], depth_PM[prompt, place] = inputs[row, depth], depth
    sees_PMM = np.tile(np.eye(largest, dtype=bool), (prompts, 1, 1))
    node, column = (np.arange(mask.shape[1]) <= depth[:, None]).nonzero()
    sees_PMM[prompt[node], place[node], place[number[row[node], column]]] = True
    token_row, token_column = mask.nonzero()
    node = number[token_row, token_column]
    token_N = order[token_row] * mask.shape[1] + token_column
    node_N = prompt[node] * largest + place[node]
    arrays = (input_PM, depth_PM, sees_PMM, token_N, node_N)
    tensors = (torch.from_numpy(array).to(response_BT.device) for array in arrays)
    return ResponseTrees(sizes.tolist(), *tensors)
