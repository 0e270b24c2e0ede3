"""Keys that nothing reads, and options that constructors will refuse: found in the composed config, before the heavy
packages of those constructors are imported."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from rltf.runs.legacy import TARGETS
from rltf.setup.instantiate import check_trusted
from rltf.setup.signatures import read_signature
from rltf.setup.sources import find, read_source
from rltf.validation import OptionError, nearest, unknown_key

SHARED_KEYS = (
    *("model", "benchmark", "generation", "critic", "inference", "executor", "trainer", "paths"),
    *("seed", "evaluation", "quiet", "problem_limit", "teaching_groups", "trusted"),
)
"""Keys of every command's config."""
TRAIN_KEYS = (
    *("reward", "algorithm", "credit", "auxiliary", "job", "curriculum", "tasks", "buffer", "optimizer", "callbacks"),
    "logger",
    *("resume", "name", "group", "warmup", "rollouts", "schedule", "critic_lr", "reference", "report"),
)
KEYS: Mapping[str, Collection[str]] = {"train": (*SHARED_KEYS, *TRAIN_KEYS), "eval": (*SHARED_KEYS, "policy")}
"""Command -> keys of its config."""
GLOBAL_GROUPS = ("recipe", "experiment", "sweep", "debug")
"""Groups whose choices set keys of others: after a mistyped one with `+`, Hydra makes a key of it."""
PLAIN_KEYS: Mapping[str, Collection[str]] = {
    "algorithm": ("mix", "advantages", "credit", "selection", "target"),
    "paths": ("root", "sweeps", "warm_starts", "output_dir"),
}
"""Node that is built from several others or from none -> its keys."""
TYPED_NODES = ("warmup", "rollouts", "schedule", "evaluation", "generation")
"""Nodes that `rltf.setup.config` has records of, which know their keys."""
TABLES = ("callbacks", "logger", "reward.terms", "benchmark.parts")
"""Nodes with names of the user's choice, each of which describes an object."""
KEYWORDS: Mapping[str, str] = {
    "generation.hosts": "rltf.generation.remote.RemoteSampler",
    "model.lora": "rltf.policies.lora.Lora",
    "inference.matcher": "rltf.policies.codet5p.matching.Matcher",
    "model.prompts": "rltf.policies.prompt_pool.Prompts",
}
"""Node of keywords -> the class that gets them."""
GIVEN_BY_CODE = ("params", "policy", "sampler", "pipeline", "logger", "callbacks")
"""Parameters of constructors that no config sets."""
READABLE = ("rltf.", "lightning.pytorch.", "torch.optim.")
"""Packages all of whose classes are found by reading their files."""
HYDRA_KEYS = ("_target_", "_partial_", "_convert_", "_recursive_", "_args_")


def check_keys(config: Mapping[str, Any], command: str) -> None:
    """Finds keys that nothing reads, and values that the constructors of the config's nodes will refuse.

    Args:
        config: the whole config, resolved, as plain values.
        command: `train` or `eval`.

    Raises:
        ValueError: the first such key or value, in one sentence.
    """
    trusted = tuple(config.get("trusted") or ())
    for key in config:
        if key not in KEYS[command]:
            groups = GLOBAL_GROUPS if command == "train" else ()
            raise unknown_key(key, [*KEYS[command], *groups, *(path for path, _ in leaves(config) if "." in path)])
    for name, node in config.items():
        path = str(name)
        if path in PLAIN_KEYS:
            for key in node:
                if key not in PLAIN_KEYS[path]:
                    raise unknown_key(f"{path}.{key}", [f"{path}.{name}" for name in PLAIN_KEYS[path]])
        elif isinstance(node, Mapping) and path not in (*TYPED_NODES, *TABLES) and "_target_" not in node and node:
            raise ValueError(f"{path}.{next(iter(node))} is set and no {path} is chosen: expected {path}=NAME")
        if isinstance(node, Mapping):
            _check_node(path, node, trusted)
    for path, target in KEYWORDS.items():
        parent, _, key = path.partition(".")
        keywords = (config.get(parent) or {}).get(key)
        if isinstance(keywords, Mapping):
            _check_options(path, {"_target_": target, **keywords}, trusted)


def _check_node(path: str, node: Mapping[str, Any], trusted: Collection[str]) -> None:
    """Checks a node and all below it against the signatures of what they describe."""
    if "_target_" in node:
        _check_options(path, node, trusted)
    for key, child in node.items():
        if path in TABLES and child is not None and "_target_" not in child:
            known = ", ".join(name for name in node if name != key) or "none"
            raise ValueError(
                f"{path}.{key} has no _target_: expected one of the chosen ones ({known}), or a node with _target_"
            )
        if isinstance(child, Mapping):
            _check_node(f"{path}.{key}", child, trusted)
        elif isinstance(child, list):
            for index, item in enumerate(child):
                if isinstance(item, Mapping):
                    _check_node(f"{path}.{key}[{index}]", item, trusted)


def _check_options(path: str, node: Mapping[str, Any], trusted: Collection[str]) -> None:
    target = TARGETS.get(node["_target_"], node["_target_"])
    check_trusted(path, target, trusted)
    if target.startswith(READABLE) and find(target) is None:
        raise _unknown_target(path, target)
    signature = read_signature(target)
    if signature is None or "_args_" in node:
        return
    for key, value in node.items():
        if key in HYDRA_KEYS:
            continue
        if key not in signature.parameters:
            if signature.open:
                continue
            raise _unknown_option(path, key, target, signature.parameters)
        try:
            signature.check(key, value)
        except OptionError as error:
            raise error.below(path) from error


def _unknown_target(path: str, target: str) -> ValueError:
    module, _, name = target.rpartition(".")
    source = read_source(module)
    similar_names = nearest(name, (*source.definitions, *source.imports)) if source is not None else []
    hint = f"did you mean {' or '.join(similar_names)}?" if similar_names else "expected a class or function"
    return ValueError(f"{path}._target_ is {target!r}, which {module} does not define: {hint}")


def _unknown_option(path: str, key: str, target: str, parameters: Iterable[str]) -> ValueError:
    """A key that the node's class does not take: mistyped, or of the class that it had before `_target_` was given."""
    known = [name for name in parameters if name not in GIVEN_BY_CODE]
    if nearest(key, known):
        return unknown_key(f"{path}.{key}", [f"{path}.{name}" for name in known])
    names = f", which takes {', '.join(known)}" if known else ""
    return ValueError(f"{path}.{key} is not known to {target}{names}; '~{path}.{key}' leaves out a key of the yaml")


def leaves(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted key and value of everything in a config, mappings included."""
    if path:
        yield path, node
    if isinstance(node, Mapping):
        for key, child in node.items():
            yield from leaves(child, f"{path}.{key}" if path else str(key))
