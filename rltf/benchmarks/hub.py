"""Rows of data sets on the Hugging Face hub, by the optional package `datasets`."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

from rltf.benchmarks.files import Row


def hub_rows(hub: str, config: str | None = None, files: Sequence[str] = ()) -> list[Row]:
    """All rows of a data set, of every split, which is in each row's field `split`.

    Args:
        hub: data set id, e.g. `google-research-datasets/mbpp`.
        config: configuration of the data set, e.g. `full`; None: its only one.
        files: JSON-lines files of the data set, one per split and named after it; empty: the data set's own layout.

    Raises:
        ValueError: `datasets` is not installed, or the hub cannot be reached.
    """
    try:
        load_dataset = import_module("datasets").load_dataset
    except ImportError:
        raise ValueError(
            f"benchmark.path is null and {hub} needs the package `datasets`: name a local file, or install it"
        ) from None
    try:
        if files:
            places = {file.partition(".")[0]: f"hf://datasets/{hub}/{file}" for file in files}
            splits = load_dataset("json", data_files=places)
        else:
            splits = load_dataset(hub, config)
    except Exception as error:  # the hub client has no common class for "offline", "unknown" and "refused"
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise ValueError(f"benchmark.path is null and {hub} cannot be fetched ({reason}): name a local file") from error
    return [
        Row(f"{hub} {split} row {number}", {**row, "split": split})
        for split, rows in splits.items()
        for number, row in enumerate(rows)
    ]
