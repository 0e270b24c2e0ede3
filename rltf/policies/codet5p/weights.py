"""Reading the weights of CodeT5+: every tensor of the model must be in the folder, and no other may be, since
transformers would go on with random numbers in place of those that are missing."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from typing import Any, TypeVar

import torch
from transformers import AutoTokenizer, PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase, T5Config

from rltf.policies import compat
from rltf.policies.locate import WeightSource

T5Type = TypeVar("T5Type", bound=PreTrainedModel)

_OWN_FIELDS = (
    "model_type",
    "architectures",
    "auto_map",
    "transformers_version",
    "torch_dtype",
    "dtype",
    "_name_or_path",
)
"""Fields of a configuration that say which code reads it."""


def check_complete(report: Mapping[str, Any], family: str, source: str, ignored: Collection[str] = ()) -> None:
    """Refuses weights that are not exactly those of the model.

    Args:
        report: `output_loading_info` of `from_pretrained`.
        family: the model's name in messages.
        source: the folder or hub id.
        ignored: beginnings of names that may be there.

    Raises:
        ValueError: one is missing, has another shape, or is left over (the gate of the 16B).
    """
    missing = sorted(report["missing_keys"])
    mismatched = sorted(str(entry[0]) for entry in report["mismatched_keys"])
    unexpected = sorted(name for name in report["unexpected_keys"] if not name.startswith(tuple(ignored)))
    for names, fault in ((missing, "lacks"), (mismatched, "has another shape of"), (unexpected, "also holds")):
        if names:
            others = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise ValueError(f"model.path: {source} {fault} {names[0]}{others}: expected the weights of {family}")


def t5_config(source: WeightSource) -> T5Config | None:
    """The configuration of a T5 with further parts (`codet5p_embedding`, the bimodal model), whose type transformers
    does not know; None where the folder's model is no T5 of CodeT5+."""
    fields, _ = PretrainedConfig.get_config_dict(source.source, local_files_only=source.local_only)
    family = str(fields.get("model_type", ""))
    if not family.startswith("codet5p_") or "d_model" not in fields:
        return None
    # What the hub's own classes have by default stands in no file: T5's default is another.
    own = {"embed_dim": 256, "is_encoder_decoder": "embedding" not in family, **fields}
    return T5Config(**{name: value for name, value in own.items() if name not in _OWN_FIELDS})


def load_t5_type(
    model_class: type[T5Type], family: str, source: WeightSource, dtype: torch.dtype = torch.float32
) -> T5Type:
    """A T5 with further parts, in evaluation mode.

    Args:
        model_class: of this package.
        family: its name in messages.
        source: where its files are.
        dtype: of the weights.

    Raises:
        ValueError: the folder holds another model, or not all of this one.
    """
    try:
        config = t5_config(source)
        if config is None:
            raise ValueError(f"model.path: {source.source} holds another model: expected {family}")
        with compat.without_progress_bars():
            model, report = model_class.from_pretrained(
                source.source,
                config=config,
                dtype=dtype,
                local_files_only=source.local_only,
                output_loading_info=True,
                ignore_mismatched_sizes=True,
            )
    except OSError as error:
        raise ValueError(
            f"model.path: {source.source} does not load ({str(error).strip().splitlines()[0]}): expected a complete "
            "folder in the Hugging Face layout"
        ) from None
    check_complete(report, family, source.source, ignored=("decoder.", "lm_head.", "itm_head.", "temp"))
    return model.eval()


def load_tokenizer(source: WeightSource, config: PretrainedConfig) -> PreTrainedTokenizerBase:
    """The tokenizer of a model, whose configuration transformers might not read."""
    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
        source.source, config=config, local_files_only=source.local_only, trust_remote_code=False
    )
    return tokenizer


def check_memory(parameters: int, dtype: torch.dtype) -> None:
    """Refuses weights that the free memory does not hold.

    Args:
        parameters: of the model.
        dtype: of its weights.

    Raises:
        ValueError: it does not.
    """
    needed, free = parameters * dtype.itemsize, free_memory()
    if needed > free:
        raise ValueError(
            f"model: {parameters / 1e9:.2f} billion weights take {needed / 1e9:.1f} GB in "
            f"{str(dtype).removeprefix('torch.')} and {free / 1e9:.1f} GB are free: expected model.dtype=bfloat16 "
            "where they are not trained (evaluation, model.lora, model.train=encoder+cross), or more memory"
        )


def free_memory() -> int:
    """Bytes of memory that a process can still get."""
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            available = next(line for line in lines if line.startswith("MemAvailable:"))
        return 1024 * int(available.split()[1])
    except (OSError, StopIteration):  # no Linux
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
