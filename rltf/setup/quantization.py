"""What does not go together with weights in 4 bits (`model.quantization`), told without torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf

from rltf.setup.devices import may_have_gpu
from rltf.validation import OptionError

SAMPLERS: Mapping[str, str] = {
    "rltf.generation.engine.engine.Engine": "native reads",
    "rltf.generation.vllm.VLLMSampler": "vllm copies",
    "rltf.generation.server.ServerSampler": "server copies",
}
"""`_target_` of samplers that need whole weights -> their choice, and what they do with them."""


def check_quantization(cfg: DictConfig) -> None:
    """Refuses weights in 4 bits where there is no GPU for them, or something needs them whole.

    Args:
        cfg: the whole config.

    Raises:
        ValueError: one sentence with a way out.
    """
    quantization = OmegaConf.select(cfg, "model.quantization")
    if quantization is None:
        return
    accelerator = cfg.trainer.get("accelerator")
    if not runs_on_cuda(accelerator):
        reason = "without a CUDA device, and there is none here" if accelerator != "cpu" else "with trainer=cpu"
        raise OptionError("model.quantization", quantization, f"null {reason}")
    sampler = SAMPLERS.get(OmegaConf.select(cfg, "generation.sampler._target_", default=""))
    if sampler is not None:
        raise ValueError(
            f"generation={sampler} whole weights and model.quantization={quantization} keeps them in 4 bits: use "
            "generation=hf or generation=auto"
        )
    if OmegaConf.select(cfg, "generation.placement") == "separate":
        raise ValueError(
            f"model.quantization is {quantization} and generation.placement=separate was not tried with it: use "
            "generation.placement=colocated"
        )
    strategy = OmegaConf.select(cfg, "trainer.strategy", default="auto")
    name = strategy if isinstance(strategy, str) else strategy.get("_target_", "")
    if name != "auto" and not name.startswith("ddp"):
        raise ValueError(
            f"trainer.strategy is {name}, which shares weights out, and model.quantization={quantization} packs them "
            "in blocks: expected trainer=gpu or trainer=ddp"
        )


def runs_on_cuda(accelerator: Any) -> bool:
    """Whether a run with this `trainer.accelerator` may have a CUDA device."""
    return accelerator in (None, "auto", "gpu", "cuda") and may_have_gpu("cuda")
