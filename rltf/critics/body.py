"""The body of a critic where it is not the policy: `critic.body`, an exported policy such as that of `job=atc`."""

from __future__ import annotations

from typing import cast

from rltf.policies.base import Policy
from rltf.policies.load import Dtype, pretrained
from rltf.validation import OptionError, require


def load_body(folder: str | None, policy: Policy, train_body: bool) -> Policy | None:
    """The policy in a folder, as the body of a critic of another one; None for None.

    Args:
        folder: in the Hugging Face layout, e.g. `policy/` of a run.
        policy: the one whose programs the critic reads.
        train_body: whether the critic trains it.

    Raises:
        OptionError: it reads text as other tokens, is of another kind, or has states of another width; or there is none
            and it is not trained.
        ValueError: nothing loads from there.
    """
    require("train_body", train_body, choices=(True, False))
    if folder is None:
        if not train_body:  # no file would hold the weights that a run which goes on needs
            raise OptionError("train_body", False, "true with body=null, or body=FOLDER with the policy that stays")
        return None
    dtype = cast("Dtype", str(policy.model.dtype).removeprefix("torch."))
    body = pretrained(folder, folder, dtype=dtype, max_prompt_tokens=policy.max_prompt_tokens)
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
