"""Augmented temporal contrast (ATC, arXiv 2009.08319) on programs: which program goes on from here?

    c_t = Linear(state behind the last token of line t), of the network that is trained
    c'_t+k = the same of a momentum copy, which reads the program augmented
    logits_ij = (W (c_i + MLP(c_i))) . c'_j       loss = cross-entropy of i = j, sum over the anchors i of a batch

The copy follows after every optimiser step: theta' <- theta' + tau (theta - theta').

How it deviates from the paper:
1. Time is counted in lines of code, and a state has read all of the program before it, where the paper stacks frames.
2. One forward pass gives all anchors of a program. The copy alone reads what is augmented; the paper augments both.
3. The prompt is hidden by default (one constant token): with it in view an anchor and its positive share the problem,
   and to recognise that is enough. Several programs of a problem are in a batch.
4. An image is shifted at random; here the first tokens are dropped, others become unknown, and local names change.
5. Programs that are equal up to the positive's line are no negatives of each other. Frames never are.
6. The whole network is trained, not a convolutional encoder; nothing but recorded programs is read.

N anchors, D width of the states, L width of the codes.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from rltf.algorithms.objective import Loss
from rltf.algorithms.target import TargetNetwork
from rltf.contrast.batch import ContrastBatch
from rltf.contrast.options import ContrastOptions
from rltf.critics.network import response_states
from rltf.generation.modes import eval_mode
from rltf.policies.base import Policy
from rltf.training.target import TargetPolicy


class ContrastNetwork(nn.Module):
    """The layers on top of a policy's states, and the momentum copy of policy and codes.

    Args:
        policy: whose states are compared; it is no part of this module.
        options: widths, momentum and negatives.
    """

    def __init__(self, policy: Policy, options: ContrastOptions) -> None:
        super().__init__()
        width = policy.model.get_output_embeddings().weight.shape[1]
        latent = options.latent
        with torch.random.fork_rng(devices=[]):  # the weights are the same at any state of the global generator
            torch.manual_seed(0)
            self.code = nn.Linear(width, latent)
            self.predict = nn.Sequential(
                nn.Linear(latent, options.hidden), nn.ReLU(), nn.Linear(options.hidden, latent)
            )
            self.compare = nn.Linear(latent, latent, bias=False)
        self._other_programs = options.negatives == "other_programs"
        self._target = TargetNetwork(options.tau)
        self._copies: tuple[TargetPolicy, nn.Linear] | None = None  # in a tuple: no submodules, so they are not trained

    def start(self, policy: Policy) -> None:
        """Makes the momentum copy of the policy's present weights."""
        self._copies = TargetPolicy(policy, self._target), copy.deepcopy(self.code).requires_grad_(False)

    def place(self, device: torch.device) -> None:
        """Moves layers and copies to a device."""
        self.to(device)
        for part in self.copies:
            (part.policy if isinstance(part, TargetPolicy) else part).to(device)

    @property
    def copies(self) -> tuple[TargetPolicy, nn.Linear]:
        """The momentum copies of the policy and of the layer of codes; only after `start`."""
        assert self._copies is not None, "start(policy) comes before the first batch"
        return self._copies

    def forward(self, policy: Policy, batch: ContrastBatch) -> Loss:
        """The loss of a batch, with `accuracy` of its anchors, `accuracy_same_problem` among positives of their own
        problem (of anchors that have several), and `chance`, the accuracy of guessing."""
        count = torch.tensor(batch.count, device=batch.anchor_N.device)
        if not batch.count:  # programs of one line; every process of DDP has a gradient of every weight
            return Loss(torch.stack([0.0 * weight.sum() for weight in self.parameters()]).sum(), count)
        logits_NN = self.logits(policy, batch)
        excluded_NN = excluded_negatives(batch, self._other_programs)
        losses_N = contrast_loss(logits_NN, excluded_NN)
        return Loss(losses_N.sum(), count, accuracies(logits_NN.detach(), excluded_NN, batch.problem_N))

    def logits(self, policy: Policy, batch: ContrastBatch) -> Tensor:
        """float32 logits_NN of anchors (rows) and positives, with gradient to the anchors."""
        target, code = self.copies
        states_BTD = response_states(policy, batch.programs, after_token=True)
        with eval_mode(target.policy):
            target_states_BTD = response_states(target.policy, batch.augmented, after_token=True)
        with torch.autocast(states_BTD.device.type, enabled=False):
            code_NL = self.code(states_BTD.flatten(0, 1).index_select(0, batch.anchor_N))
            with torch.no_grad():
                positive_NL = code(target_states_BTD.flatten(0, 1).index_select(0, batch.positive_N))
            logits_NN: Tensor = self.compare(code_NL + self.predict(code_NL)) @ positive_NL.T
        return logits_NN

    def follow(self, policy: Policy) -> None:
        """Moves the momentum copy; once an optimiser step."""
        target, code = self.copies
        target.move(policy)
        self._target.move(code.parameters(), self.code.parameters())

    def copy_state(self, policy: Policy) -> dict[str, Any]:
        """Weights of the momentum copy, for a checkpoint: those that the policy trains, and the codes'."""
        target, code = self.copies
        state: dict[str, Any] = {"code": dict(code.state_dict())}
        target.save(state, policy)
        return state

    def load_copy_state(self, state: Mapping[str, Any]) -> None:
        """Restores what `copy_state` returned."""
        target, code = self.copies
        target.load(state)
        code.load_state_dict(state["code"])


def excluded_negatives(batch: ContrastBatch, other_programs: bool) -> Tensor:
    """excluded_NN, True where a positive is no negative of an anchor: it stands behind the same beginning.

    Args:
        batch: of anchors and positives.
        other_programs: other lines of the anchor's program are no negatives, either.
    """
    excluded_NN = batch.beginning_N[:, None] == batch.beginning_N
    if other_programs:
        excluded_NN |= batch.program_N[:, None] == batch.program_N
    return excluded_NN & ~torch.eye(len(excluded_NN), dtype=torch.bool, device=excluded_NN.device)


def contrast_loss(logits_NN: Tensor, excluded_NN: Tensor) -> Tensor:
    """Loss of each anchor: the cross-entropy of its own positive among all that are not excluded.

    >>> contrast_loss(5 * torch.eye(4), torch.zeros(4, 4, dtype=torch.bool))
    tensor([0.0200, 0.0200, 0.0200, 0.0200])
    """
    own_N = torch.arange(len(logits_NN), device=logits_NN.device)
    return functional.cross_entropy(logits_NN.masked_fill(excluded_NN, -torch.inf), own_N, reduction="none")


def accuracies(logits_NN: Tensor, excluded_NN: Tensor, problem_N: Tensor) -> dict[str, Tensor]:
    """`accuracy`, `accuracy_same_problem` and `chance`, as `ContrastNetwork.forward` has them. Without an anchor whose
    problem has several positives there is no `accuracy_same_problem`."""
    own_N = torch.arange(len(logits_NN), device=logits_NN.device)
    hits_N = logits_NN.masked_fill(excluded_NN, -torch.inf).argmax(1) == own_N
    elsewhere_NN = excluded_NN | (problem_N[:, None] != problem_N)
    several_N = (~elsewhere_NN).sum(1) > 1
    metrics = {"accuracy": hits_N.float().mean(), "chance": (1 / (~excluded_NN).sum(1)).mean()}
    if bool(several_N.any()):
        in_problem_N = logits_NN.masked_fill(elsewhere_NN, -torch.inf).argmax(1) == own_N
        metrics["accuracy_same_problem"] = in_problem_N[several_N].float().mean()
    return metrics
