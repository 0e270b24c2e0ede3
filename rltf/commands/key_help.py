"""`train.py --help`: usage, groups, and every key with its value and what its yaml says of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rltf.commands.overrides import config_folders, split_flags
from rltf.runs.defaults import config_dir
from rltf.setup.key_comments import groups, key_comments

HELP_FLAGS = ("--help", "-h")
USAGE = {
    "train": "python train.py [GROUP=CHOICE ...] [KEY=VALUE ...] [resume=RUN] [-m]",
    "eval": "python eval.py policy=POLICY [GROUP=CHOICE ...] [KEY=VALUE ...] [-m]",
}
COLUMN = 44
"""Where comments begin."""


def help_text(name: str, arguments: Sequence[str]) -> str:
    """The help of a command, of the config that its other arguments make.

    Args:
        name: `train` or `eval`.
        arguments: flags and overrides, `--help` among them.
    """
    from hydra import compose, initialize_config_dir
    from omegaconf import OmegaConf

    flags, overrides = split_flags([argument for argument in arguments if argument not in HELP_FLAGS])
    folders = [f"file://{folder.resolve()}" for folder in config_folders(flags)[1:]]
    search = [f"hydra.searchpath=[{','.join(folders)}]"] if folders else []
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        cfg = compose(name, [*search, *overrides], return_hydra_config=True)
    choices = {group: str(choice) for group, choice in cfg.hydra.runtime.choices.items()}
    config: dict[str, Any] = OmegaConf.to_container(cfg, resolve=False)  # type: ignore[assignment]
    del config["hydra"]
    comments = key_comments(config_dir(), name, choices)
    return "\n".join(
        [f"usage: {USAGE[name]}", "", *_flags(), "", *_groups(name, choices), "", *_keys(config, comments)]
    )


def _flags() -> list[str]:
    return [
        "-m                      every combination of the values that are separated by commas, one run each",
        "--cfg job               prints the composed config and does nothing",
        "--config-dir FOLDER     choices of your own; trusted=[rltf,lightning,PACKAGE] lets them name your classes",
        "--hydra-help            the flags of Hydra",
    ]


def _groups(name: str, choices: Mapping[str, str]) -> Iterator[str]:
    yield "Groups and their choices, the present one in brackets:"
    for group, files in groups(config_dir()):
        names = [file.stem for file in files if not file.stem.startswith("_")]
        if group not in choices and not (name == "train" and group in ("algorithm", "sweep")):
            continue
        labels = [f"[{choice}]" if choice == choices.get(group) else choice for choice in names]
        yield f"  {group:<12}  {' '.join(labels)}"


def _keys(config: Mapping[str, Any], comments: Mapping[str, str]) -> Iterator[str]:
    yield "Keys, with their present values:"
    yield from _lines(config, comments, "", 1)


def _lines(config: Mapping[str, Any], comments: Mapping[str, str], above: str, depth: int) -> Iterator[str]:
    for key, value in config.items():
        dotted = f"{above}.{key}" if above else str(key)
        if key == "_target_":
            continue
        nested = isinstance(value, dict) and value
        text = f"{'  ' * depth}{key}:" + ("" if nested else f" {_value(value)}")
        comment = comments.get(dotted, "")
        yield f"{text:<{COLUMN}}  {comment}".rstrip() if comment else text
        if nested:
            yield from _lines(value, comments, dotted, depth + 1)


def _value(value: Any) -> str:
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
