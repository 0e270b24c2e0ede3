"""Objects from config nodes, or one sentence that says why not. The only caller of Hydra's `instantiate`."""

from __future__ import annotations

import copy
import logging
import re
from collections.abc import Collection, Iterator, Sequence
from functools import cache
from typing import Any

from hydra.errors import HydraException
from omegaconf import DictConfig, ListConfig, OmegaConf

from rltf.runs.legacy import TARGETS
from rltf.validation import OptionError, sentence_of

log = logging.getLogger(__name__)

ALWAYS_TRUSTED = ("torch.optim",)
"""Packages whose classes any config may build, beside those of `trusted`: they only compute."""


def build(cfg: DictConfig, key: str, **extra: Any) -> Any:
    """The object that `cfg.<key>` describes.

    Args:
        cfg: the whole config; `cfg.trusted` names the packages that `_target_` may come from.
        key: dotted path of the node.
        **extra: constructor keywords that no yaml can hold (other objects).

    Returns:
        The object, or None when the node is null or absent.

    Raises:
        ValueError: the node names an untrusted or unknown target, or its constructor refused its arguments.
    """
    from hydra.utils import instantiate

    node = OmegaConf.select(cfg, key)
    if node is None:
        return None
    node = _with_present_targets(node, key)
    _refuse_strangers(node, key, tuple(cfg.get("trusted") or ()))
    try:
        if not extra:
            return instantiate(node, _convert_="all")
        return instantiate(node, _convert_="all", _partial_=True)(**extra)  # objects never enter the config
    except OptionError as error:
        raise error.below(key) from error
    except HydraException as error:
        raise ValueError(_sentence(error, key)) from error


def check_trusted(path: str, target: Any, trusted: Collection[str], home: str | None = None) -> None:
    """Whether a node may name its target: a config file is data, so it builds what the user's `trusted` packages hold.

    Args:
        path: dotted path of the node.
        target: its `_target_`.
        trusted: packages.
        home: the module that defines the target; None: that is not known yet, since nothing was imported.

    Raises:
        ValueError: it may not.
    """
    packages = (*ALWAYS_TRUSTED, *trusted)
    if not isinstance(target, str) or not _within(target, packages) or not _within(home or target, packages):
        raise ValueError(
            f"{path}._target_={target} is outside the packages named by trusted={list(trusted)}: "
            "add its package to `trusted` if it is yours"
        )


def _refuse_strangers(node: Any, key: str, trusted: Sequence[str]) -> None:
    """Refuses what the trusted packages do not hold, and then what they import and do not define."""
    for path, target in _targets(node, key):
        check_trusted(path, target, trusted)
        check_trusted(path, target, trusted, _home(target))


def _home(target: str) -> str:
    """The module that defines what `target` names: `lightning.os.system` is defined outside of lightning."""
    from hydra.utils import get_object

    try:
        module = getattr(get_object(target), "__module__", None)
    except Exception:  # Hydra says what is wrong with it when it builds it
        return target
    return module if isinstance(module, str) else target


def _within(dotted: str, packages: Sequence[str]) -> bool:
    return any(dotted == package or dotted.startswith(f"{package}.") for package in packages)


def _with_present_targets(node: Any, key: str) -> Any:
    """The node, with `_target_` paths of version 0.1 in today's names."""
    old_targets = {target for _, target in _targets(node, key) if target in TARGETS}
    if not old_targets:
        return node
    node = copy.deepcopy(node)
    _rename_targets(node)
    for target in sorted(old_targets):
        _warn_once(target)
    return node


@cache
def _warn_once(target: str) -> None:
    log.warning("%s is of version 0.1 and will end with the next: use %s", target, TARGETS[target])


def _rename_targets(node: Any) -> None:
    children = node.values() if isinstance(node, DictConfig) else node if isinstance(node, ListConfig) else ()
    if isinstance(node, DictConfig) and node.get("_target_") in TARGETS:
        node._target_ = TARGETS[node._target_]
    for child in children:
        _rename_targets(child)


def _targets(node: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(node, DictConfig):
        if "_target_" in node:
            yield path, node["_target_"]
        for name, child in node.items():
            yield from _targets(child, f"{path}.{name!s}")
    elif isinstance(node, ListConfig):
        for index, child in enumerate(node):
            yield from _targets(child, f"{path}[{index}]")


def _sentence(error: Exception, key: str) -> str:
    """The constructor's own words, with the path of its node in the config where it named keywords alone."""
    cause: BaseException = error
    while isinstance(cause, HydraException) and cause.__cause__ is not None:
        node_path = re.search(r"^full_key: (\S+)$", str(cause), re.MULTILINE)
        key = node_path[1] if node_path else key
        cause = cause.__cause__
    if isinstance(cause, OptionError):
        return str(cause.below(key))
    text = sentence_of(cause)
    return text if isinstance(cause, ValueError) else f"{key}: {text}"
