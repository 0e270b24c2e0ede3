"""A policy's body with a small head on the state at each response token. B rows, T response tokens, D width, K outputs.

States are normalised to mean 0 and variance 1 before the head, since model families differ in their scale. The head's
last layer starts at zero: a fresh critic predicts the same everywhere."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from rltf.generation.modes import eval_mode
from rltf.policies.base import Policy
from rltf.types import RolloutBatch


class CriticNetwork(nn.Module):
    """Body and head of a critic.

    Args:
        policy: source of the body.
        outputs: K.
        hidden: width of a ReLU layer in the head; 0: the head is linear.
        own_body: the critic has a body of its own, which begins as the policy's; False: it uses the policy's present
            states, without gradient.
        after_token: the state at a token is the one after the token was read; False: the one that it is drawn from.
        body: with `own_body`, what the body begins as in the place of the policy (see `rltf.critics.body`); it is not
            copied. None: the policy as it is when RL starts.
        train_body: the body is trained with the head; False: its weights stay, and the head alone learns.
    """

    def __init__(
        self,
        policy: Policy,
        outputs: int,
        hidden: int,
        own_body: bool,
        after_token: bool,
        body: Policy | None = None,
        train_body: bool = True,
    ) -> None:
        super().__init__()
        assert body is None or own_body, "the policy's states need no other body"
        self._policy = (policy,)  # in a tuple: no submodule
        self._after_token = after_token
        self._follows_policy = body is None
        self._trains_body = train_body
        self.body = _as_body(body or policy.copy(), train_body) if own_body else None
        width = policy.model.get_output_embeddings().weight.shape[1]
        with torch.random.fork_rng(devices=[]):  # the weights are the same at any state of the global generator
            torch.manual_seed(0)
            last = nn.Linear(hidden or width, outputs)
            self.head = nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), last) if hidden else nn.Sequential(last)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def sync_from_policy(self) -> None:
        """Copies the policy's present weights into the body, unless it began as something else."""
        if self.body is not None and self._follows_policy:
            with torch.no_grad():
                for weight, policy_weight in zip(self.body.parameters(), self._policy[0].parameters(), strict=True):
                    weight.copy_(policy_weight)

    def trainable_parameters(self) -> dict[str, nn.Parameter]:
        """Parameters with a gradient, by name."""
        return {name: weight for name, weight in self.named_parameters() if weight.requires_grad}

    def states(self, batch: RolloutBatch) -> Tensor:
        """float32 states_BTD, 0 at padding."""
        if self.body is not None and self._trains_body:
            return response_states(self.body, batch, self._after_token)
        policy = self._policy[0] if self.body is None else self.body
        with eval_mode(policy):
            return response_states(policy, batch, self._after_token)

    def forward(self, batch: RolloutBatch) -> Tensor:
        """float32 outputs_BTK; arbitrary at padding."""
        return self.apply_head(self.states(batch))

    def apply_head(self, states: Tensor) -> Tensor:
        """The head's outputs in float32, (..., D) -> (..., K)."""
        with torch.autocast(states.device.type, enabled=False):
            outputs: Tensor = self.head(states)
        return outputs


def response_states(policy: Policy, batch: RolloutBatch, after_token: bool) -> Tensor:
    """float32 states_BTD of the response tokens, normalised to mean 0 and variance 1; 0 at padding.

    Args:
        policy: reads prompts and responses.
        batch: rows to read.
        after_token: as in `CriticNetwork`.
    """
    response_BT, response_mask_BT = batch.response_BT, batch.response_mask_BT
    if after_token:  # the state that one more token would be drawn from has read the last one
        response_BT = functional.pad(response_BT, (0, 1))
        response_mask_BT = functional.pad(response_mask_BT, (1, 0), value=True)  # padding is on the right
    hidden_ND, token_N = policy.hidden_states(batch.prompt_BS, batch.prompt_mask_BS, response_BT, response_mask_BT)
    normalised_ND = functional.layer_norm(hidden_ND.float(), hidden_ND.shape[-1:])
    zeros = normalised_ND.new_zeros(response_mask_BT.numel(), normalised_ND.shape[1])
    states_BTD = zeros.index_copy(0, token_N, normalised_ND).unflatten(0, response_mask_BT.shape)
    return states_BTD[:, 1:] if after_token else states_BTD


def _as_body(body: Policy, trained: bool) -> Policy:
    """The same policy; an untied output layer, which a critic does not use, is not trained."""
    if (head := body.model.get_output_embeddings()).weight is not body.model.get_input_embeddings().weight:
        head.requires_grad_(False)
    return body if trained else body.requires_grad_(False)
