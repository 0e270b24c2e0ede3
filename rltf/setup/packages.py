"""Optional packages that a config needs and this environment lacks: told before anything heavy is imported."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from rltf.setup.keys import leaves
from rltf.validation import missing_package

OF_TARGETS: Mapping[str, tuple[str, str, str | None]] = {
    "rltf.execution.RayExecutor": ("ray", "executor=ray", None),
    "rltf.generation.vllm.VLLMSampler": ("vllm", "generation=vllm", None),
    "rltf.loggers.mlflow.mlflow_logger": ("mlflow", "logger=mlflow", "loggers"),
    "rltf.loggers.trackio.TrackioLogger": ("trackio", "logger=trackio", "loggers"),
    "lightning.pytorch.loggers.TensorBoardLogger": ("tensorboard", "logger=tensorboard", "loggers"),
    "lightning.pytorch.strategies.DeepSpeedStrategy": ("deepspeed", "trainer=deepspeed", None),
}
"""`_target_` -> the package that it imports, the option that chooses it, and the extra of rltf that lists the package;
None: the extra has the package's name."""


def check_packages(config: Mapping[str, Any]) -> None:
    """Looks for the packages that a config needs, and imports none.

    Args:
        config: the whole config, as plain values.

    Raises:
        ValueError: one is not installed.
    """
    needed = [
        OF_TARGETS[value]
        for key, value in leaves(config)
        if key.rpartition(".")[2] == "_target_" and isinstance(value, str) and value in OF_TARGETS
    ]
    if config["model"].get("lora") is not None:
        needed.append(("peft", "model.lora", "lora"))
    if config["model"].get("quantization") is not None:
        needed.append(("bitsandbytes", "model.quantization", "qlora"))
    if config["generation"].get("placement") == "separate":
        needed.append(("ray", "generation.placement=separate", None))
    for package, option, extra in needed:
        if find_spec(package) is None:
            raise missing_package(package, option, extra)
