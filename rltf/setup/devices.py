"""What `trainer` asks for and cannot have, told without torch: devices that this machine certainly lacks, precisions in
which nothing can be trained. What torch finds in the end, `rltf.setup.trainer.check_trainer` knows."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rltf.validation import OptionError, require

GPU_FILES = ("nvidiactl", "nvidia0", "nvhost-gpu", "nvmap", "kfd", "dxg")
"""Names in /dev by which drivers show a GPU: NVIDIA's, those of its small boards, AMD's, and Windows' for Linux."""
ACCELERATORS = ("auto", "cpu", "gpu", "cuda", "mps")
STRATEGIES = ("auto", "ddp", "ddp_find_unused_parameters_true", "ddp_find_unused_parameters_false")
"""Names of strategies that train as one process does; `trainer=fsdp` and `trainer=deepspeed` are nodes."""
PROFILERS = ("simple", "advanced", "pytorch")
WHOLE_HALF = ("16-true", "bf16-true", "transformer-engine", "transformer-engine-float16")
"""Lightning's names of precisions that turn the weights themselves into half precision."""


def check_devices(trainer: Mapping[str, Any]) -> None:
    """Refuses names and numbers that Lightning would refuse, a GPU where there is none, and several devices without a
    strategy that uses them.

    Args:
        trainer: the node `trainer`, as plain values.

    Raises:
        OptionError: it asks for such devices.
    """
    accelerator, devices = trainer.get("accelerator"), trainer.get("devices")
    strategy = trainer.get("strategy", "auto")
    if isinstance(accelerator, str):
        require("trainer.accelerator", accelerator, choices=ACCELERATORS)
    if isinstance(strategy, str):
        require("trainer.strategy", strategy, choices=STRATEGIES)
    if isinstance(trainer.get("profiler"), str):
        require("trainer.profiler", trainer["profiler"], choices=PROFILERS)
    if not _are_devices(devices):
        expected = "auto, -1 for all, a whole number of at least 1, or a list of the devices' numbers"
        raise OptionError("trainer.devices", devices, expected)
    if accelerator in ("cuda", "gpu") and not may_have_gpu(accelerator):
        raise OptionError("trainer.accelerator", accelerator, "auto or cpu: torch finds no such device here")
    count = len(devices) if isinstance(devices, list) else devices if isinstance(devices, int) else 1
    if count > 1 and strategy == "auto":
        raise OptionError("trainer.devices", devices, "1; trainer=ddp or trainer=fsdp train on several")


def _are_devices(devices: Any) -> bool:
    if isinstance(devices, str):
        return devices == "auto" or devices == "-1" or re.fullmatch(r"\d+(,\s*\d+)*,?", devices) is not None
    if isinstance(devices, list):
        return bool(devices) and all(type(device) is int and device >= 0 for device in devices)
    return devices is None or (type(devices) is int and (devices >= 1 or devices == -1))


def may_have_gpu(accelerator: str) -> bool:
    """False where torch is a build for CPUs, or no driver shows a GPU."""
    if sys.platform != "linux":
        return accelerator == "gpu"
    try:
        if version("torch").endswith("+cpu"):
            return False
    except PackageNotFoundError:
        pass
    return any(Path("/dev", name).exists() for name in GPU_FILES)


def check_precision(precision: Any) -> None:
    """Refuses a precision of Lightning's that keeps trained weights in half precision (`rltf.policies.precision` says
    why).

    Raises:
        OptionError: it does.
    """
    if precision in WHOLE_HALF:
        raise OptionError(
            "trainer.precision",
            precision,
            "bf16-mixed, 16-mixed or 32-true: steps of training are lost or blown up where weights are kept in half "
            "precision",
        )
