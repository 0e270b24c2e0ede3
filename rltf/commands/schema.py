"""A JSON schema of the config, from which editors complete keys and show what they mean:
`python -m rltf.commands.schema > config.schema.json`."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rltf.runs.defaults import config_dir, flat_config
from rltf.runs.record import read_yaml
from rltf.setup.key_comments import PACKAGES, comments_of_file, groups

TYPES = {bool: "boolean", int: "number", float: "number", str: "string", list: "array"}


def schema() -> dict[str, Any]:
    """The schema of `train.yaml` and of files that change it: every key of every choice, with type and description. A
    key of your own is allowed."""
    keys: dict[str, tuple[set[str], str]] = {}
    folder = config_dir()
    for group, files in groups(folder):
        for file in files:
            _add(keys, file, PACKAGES.get(group, group))
    _add(keys, folder / "train.yaml", "")
    root: dict[str, Any] = {"$schema": "http://json-schema.org/draft-07/schema#", "title": "rltf", "type": "object"}
    for dotted, (types, comment) in sorted(keys.items()):
        node = root
        *above, last = dotted.split(".")
        for part in above:
            node = node.setdefault("properties", {}).setdefault(part, {})
            node["type"] = ["null", "object", "string"]  # a string: an interpolation
        leaf = node.setdefault("properties", {}).setdefault(last, {})
        if types and "properties" not in leaf:
            leaf["type"] = sorted({*types, "null", "string"})
        if comment:
            leaf["description"] = comment
    return root


def _add(keys: dict[str, tuple[set[str], str]], file: Path, prefix: str) -> None:
    """Adds the keys of a file to those that are known, with the types of their values."""
    content = read_yaml(file)
    comments = comments_of_file(file, prefix)
    values = flat_config(content, prefix) if isinstance(content, Mapping) and content else {}
    for key in {**values, **comments}:
        if key.split(".")[0] in ("defaults", "hydra") or "/" in key or ".defaults" in key:
            continue
        types, comment = keys.get(key, (set(), ""))
        value_type = TYPES.get(type(values.get(key)))
        keys[key] = (types | ({value_type} if value_type else set()), comments.get(key, comment))


if __name__ == "__main__":
    json.dump(schema(), sys.stdout, indent=1, sort_keys=True, ensure_ascii=False)
    print()
