"""The body of a critic where it is not the policy: `critic.body`, an exported policy such as that of `job=atc`."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from rltf.policies.base import Policy
from rltf.policies.load import Dtype, pretrained
from rltf.runs.files import POLICY_FOLDER
from rltf.validation import OptionError, require


def load_body(folder: str | None, policy: Policy, train_body: bool) -> Policy | None:
    """The policy in a folder, as the body of a critic of another one; None for None.

    Args:
        folder: of a run, or in the Hugging Face layout.
        policy: the one whose programs the critic reads.
        train_body: whether the critic trains it.

    Raises:
        OptionError: there is none in the folder; it reads text as other tokens, is of another kind, or has states of
            another width; or there is no folder, and the body is not trained.
        ValueError: the files do not load.
    """
    require("train_body", train_body, choices=(True, False))
    if folder is None:
        if not train_body:  # no file would hold the weights that a run which goes on needs
            raise OptionError("train_body", False, "true with body=null, or body=FOLDER with the policy that stays")
        return None
    path = Path(folder).expanduser()
    path = path / POLICY_FOLDER if (path / POLICY_FOLDER).is_dir() else path
    if not (path / "config.json").is_file():
        raise OptionError("body", folder, "a folder with a policy, such as policy/ of a run of job=atc, or null")
    dtype = cast("Dtype", str(policy.model.dtype).removeprefix("torch."))
    body = pretrained(folder, str(path), dtype=dtype, max_prompt_tokens=policy.max_prompt_tokens)
    for what, value, expected in (
        ("kind", type(body).__name__, type(policy).__name__),
        ("width", _width(body), _width(policy)),
    ):
        if value != expected:
            raise OptionError("body", folder, f"a model with the policy's {what}, {expected}, and it has {value}")
    if body.tokenizer.get_vocab() != policy.tokenizer.get_vocab():
        raise OptionError("body", folder, "a model with the policy's tokenizer, and it has another one")
    return body


def _width(policy: Policy) -> int:
    return policy.model.get_output_embeddings().weight.shape[1]
