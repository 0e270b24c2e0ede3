"""Checkpoints hold what is trained."""

import torch
from torch import nn

from rltf.training import sharding


def module():
    torch.manual_seed(0)
    made = nn.ModuleDict({"base": nn.Linear(3, 3), "adapter": nn.Linear(3, 3), "norm": nn.BatchNorm1d(3)})
    made["tied"] = nn.Linear(3, 3)
    made["tied"].weight = made["base"].weight
    made["base"].requires_grad_(False)
    return made


def test_a_checkpoint_leaves_out_frozen_weights_by_all_their_names_and_keeps_buffers():
    checkpoint = {"state_dict": module().state_dict()}
    sharding.drop_frozen_weights(module(), checkpoint)
    names = set(checkpoint["state_dict"])
    assert not names & {"base.weight", "base.bias", "tied.weight"}
    assert {"adapter.weight", "tied.bias", "norm.weight", "norm.running_mean"} <= names


def test_what_was_left_out_comes_from_the_module_itself():
    trained = module()
    with torch.no_grad():
        trained["adapter"].weight += 1
    checkpoint = {"state_dict": trained.state_dict()}
    sharding.drop_frozen_weights(trained, checkpoint)
    fresh = module()
    sharding.restore_frozen_weights(fresh, checkpoint)
    fresh.load_state_dict(checkpoint["state_dict"], strict=True)
    assert all(
        torch.equal(a, b) for a, b in zip(fresh.state_dict().values(), trained.state_dict().values(), strict=True)
    )
