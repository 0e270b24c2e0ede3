"""A policy's body with a small head on the state at each response token. B rows, T response tokens, D width, K outputs.

The state is scaled to mean 0 and variance 1 first, since families differ in the size of what their heads read. The
head's last layer begins at zero: a fresh critic says the same of everything."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional

from rltf.policies.base import Policy
from rltf.types import RolloutBatch


class CriticNetwork(nn.Module):
    """What a critic trains.

    Args:
        policy: whose body it has.
        outputs: K.
        hidden: width of a ReLU layer in the head; 0: none, the head is linear.
        own: train a copy of the body; False: read the policy's present states, without gradient.
        after: the state at a token has read the token; False: it has read what stands before it.
    """

    def __init__(self, policy: Policy, outputs: int, hidden: int, own: bool, after: bool) -> None:
        super().__init__()
        self._policy = (policy,)  # in a tuple: no submodule
        self.after = after
        self.body = _copy(policy) if own else None
        width = policy.model.get_output_embeddings().weight.shape[1]
        with torch.random.fork_rng(devices=[]):  # weights do not depend on what else the run has drawn
            torch.manual_seed(0)
            last = nn.Linear(hidden or width, outputs)
            self.head = nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), last) if hidden else nn.Sequential(last)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def sync_from_policy(self) -> None:
        """The body gets the policy's present weights."""
        if self.body is not None:
            with torch.no_grad():
                for own, present in zip(self.body.parameters(), self._policy[0].parameters(), strict=True):
                    own.copy_(present)

    def trained(self) -> dict[str, nn.Parameter]:
        """What has a gradient, by name."""
        return {name: weight for name, weight in self.named_parameters() if weight.requires_grad}

    def states(self, batch: RolloutBatch) -> Tensor:
        """float32 states_BTD, 0 at padding."""
        response_BT, read_BT = batch.response_BT, batch.read_BT
        if self.after:  # one more token is asked for: what it would be drawn from has read the last one
            response_BT = functional.pad(response_BT, (0, 1))
            read_BT = functional.pad(read_BT, (1, 0), value=True)  # padding is on the right
        if self.body is not None:
            hidden_ND, token_N = self.body.hidden_states(batch.prompt_BS, batch.prompt_mask_BS, response_BT, read_BT)
        else:
            with torch.no_grad(), _evaluating(self._policy[0]) as policy:
                hidden_ND, token_N = policy.hidden_states(batch.prompt_BS, batch.prompt_mask_BS, response_BT, read_BT)
        scaled_ND = functional.layer_norm(hidden_ND.float(), hidden_ND.shape[-1:])
        zeros = scaled_ND.new_zeros(read_BT.numel(), scaled_ND.shape[1])
        states_BTD = zeros.index_copy(0, token_N, scaled_ND).unflatten(0, read_BT.shape)
        return states_BTD[:, 1:] if self.after else states_BTD

    def forward(self, batch: RolloutBatch) -> Tensor:
        """float32 outputs_BTK; arbitrary at padding."""
        return self.outputs(self.states(batch))

    def outputs(self, states: Tensor) -> Tensor:
        """The head in float32, (..., D) -> (..., K)."""
        with torch.autocast(states.device.type, enabled=False):
            found: Tensor = self.head(states)
        return found


def _copy(policy: Policy) -> Policy:
    """With the same tokenizer; an output layer of its own, which a critic does not use, is not trained."""
    body = copy.deepcopy(policy, {id(policy.tokenizer): policy.tokenizer})
    if (head := body.model.get_output_embeddings()).weight is not body.model.get_input_embeddings().weight:
        head.requires_grad_(False)
    return body


@contextmanager
def _evaluating(policy: Policy) -> Iterator[Policy]:
    """Without dropout."""
    training = policy.training
    policy.eval()
    try:
        yield policy
    finally:
        policy.train(training)
