"""What `policy=` of `eval.py` names: a run's exported policy, a model folder, a hub id, or a model of the configs."""

from __future__ import annotations

import re
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from rltf.runs.files import CHECKPOINT_FOLDER, POLICY_FOLDER
from rltf.setup.choices import group_choices
from rltf.validation import OptionError

NO_MODEL = "pretrained"
"""Choice of `model` that leaves it to `policy`."""
HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")
EXPECTED = "a run folder, a folder in the Hugging Face layout, a hub id (owner/name) or a name of configs/model"


def find_policy(cfg: DictConfig) -> None:
    """Sets `model.path` where `policy` is a folder, that of a run included; and `policy` where `model` is chosen alone.

    Args:
        cfg: the config of an evaluation.

    Raises:
        OptionError: `policy` is a path where no policy is.
    """
    model = group_choices().get("model", NO_MODEL)
    if OmegaConf.is_missing(cfg, "policy") and model != NO_MODEL:
        cfg.policy = model
    if (
        OmegaConf.is_missing(cfg, "policy")
        or model != NO_MODEL
        or "path" not in cfg.model
        or cfg.model.path is not None
    ):
        return
    policy = str(cfg.policy)
    path = Path(policy).expanduser()
    if (path / POLICY_FOLDER).is_dir():
        cfg.model.path = str(path / POLICY_FOLDER)
    elif any((path / CHECKPOINT_FOLDER).glob("*.ckpt")):
        raise OptionError("policy", policy, f"a finished run; `rltf export {policy}` writes a policy from a checkpoint")
    elif path.suffix == ".ckpt" and path.is_file():
        run = path.parent.parent
        best = " --best" if path.stem == "best" else ""
        raise OptionError("policy", policy, f"{EXPECTED}; `rltf export {run}{best}` writes a policy from a checkpoint")
    elif path.is_dir():
        cfg.model.path = policy
    elif not HUB_ID.fullmatch(policy):
        raise OptionError("policy", policy, f"{EXPECTED}; no folder is there")
