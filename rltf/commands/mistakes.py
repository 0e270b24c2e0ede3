"""One sentence for what Hydra and OmegaConf refuse, with the names that may have been meant."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from rltf.commands.overrides import config_folders, split_flags
from rltf.runs.defaults import config_dir
from rltf.setup.keys import leaves
from rltf.setup.signatures import read_signature
from rltf.validation import nearest, sentence_of, unknown_key

UNKNOWN = re.compile(r"Could not (?:override|delete from config\.|delete\. No match for) '([^'=]+)")
"""Hydra's words for a key or group that is not there; it then advises to append it, where nothing would read it."""


def explain(error: Exception, name: str, arguments: Sequence[str] = ()) -> str:
    """One sentence for a mistake; an unknown name comes with the nearest known ones.

    Args:
        error: the mistake.
        name: `train` or `eval`.
        arguments: flags and overrides of the command line.
    """
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, choice = error.missing_cfg_file.rpartition("/")
        # Hydra gives no options for a list of choices
        options = error.options or [file.stem for file in (config_dir() / group).glob("*.yaml")]
        options = sorted(option for option in options if not option.startswith("_"))
        similar_names = nearest(choice, options)
        hint = f"did you mean {' or '.join(similar_names)}?" if similar_names else f"known are {', '.join(options)}"
        return f"{group}={choice} is not known: {hint}"
    if isinstance(error, OverrideParseException):
        return f"{error.override} on the command line does not parse: expected key=value, with quotes round odd values"
    text = sentence_of(error)
    if isinstance(error, HydraException) and (match := UNKNOWN.match(text)):
        key = match[1].partition("@")[0].replace("/", ".")
        inner = getattr(error.__cause__, "full_key", None) or ""  # of a table on the command line: node={mistyped: 1}
        key = inner if inner.startswith(f"{key}.") else key
        cfg = config_without(name, arguments, key)
        node, _, option = key.rpartition(".")
        target = OmegaConf.select(cfg, f"{node}._target_") if node else None
        signature = read_signature(target) if target is not None else None
        options = signature.parameters if signature is not None else ()
        if option in options:
            return f"{key} is not in the config, and {target} takes it: expected +{key}=VALUE, which adds it"
        return str(unknown_key(key, {*known_keys(name, cfg), *(f"{node}.{option}" for option in options)}))
    return re.sub(r" ?set the environment variable HYDRA_FULL_ERROR=1.*", "", text, flags=re.IGNORECASE)


def config_without(name: str, arguments: Sequence[str], unknown: str) -> DictConfig:
    """The config that the command line would make without the overrides of an unknown key, Hydra's own node included.

    Args:
        name: `train` or `eval`.
        arguments: flags and overrides.
        unknown: the key; that of another mistake leaves the default config.
    """
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    flags, overrides = split_flags(list(arguments))
    known_overrides = [override for override in overrides if not re.match(rf"[+~]*{re.escape(unknown)}\b", override)]
    folders = [str(folder.resolve()) for folder in config_folders(flags)[1:]]
    search = [f"hydra.searchpath=[{','.join(f'file://{folder}' for folder in folders)}]"] if folders else []
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        try:
            return compose(name, [*search, *known_overrides], return_hydra_config=True)
        except (HydraException, OmegaConfBaseException):
            return compose(name, return_hydra_config=True)


def known_keys(name: str, cfg: DictConfig) -> list[str]:
    """Keys of a config, groups included.

    Args:
        name: `train` or `eval`.
        cfg: with Hydra's own node, which is left out.
    """
    groups = {group for group in cfg.hydra.runtime.choices if not group.startswith("hydra/")}
    if name == "train":  # which has use for every group
        groups |= {folder.name for folder in config_dir().iterdir() if folder.is_dir()}
    with open_dict(cfg):
        del cfg.hydra
    return sorted({*groups, *(key for key, _ in leaves(OmegaConf.to_container(cfg)))})
