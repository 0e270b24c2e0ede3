"""One optimiser step of a run of one or several processes; the first one saves the gradient.

    python step.py FILE DEVICES TRAINER

However many processes there are, the step is taken on the same eight programs; in float64, since their batches have
other shapes: a ReLU unit within rounding of zero (7e-7 in float32 on a processor without AVX-512) would open on one
side only and move its own row of the gradient by 2e-4 of the whole."""

import sys
from functools import partial
from pathlib import Path

import lightning.pytorch as L
import torch
from hydra import compose, initialize_config_dir

sys.path.insert(0, str(Path(__file__).parents[2]))

from rltf.rollouts.clock import PhaseClock
from rltf.setup.components import Components
from rltf.setup.config import RunConfig
from rltf.setup.instantiate import build
from rltf.setup.trainer import build_trainer
from rltf.training.module import RLTFModule
from rltf.training.phase import Phase
from rltf.training.plans import StreamPlan
from rltf.training.sharding import full_tensor

PROGRAMS = 8


class GradientRecorder(L.Callback):
    """The last gradient before it is clipped, by the name of the weight."""

    def __init__(self) -> None:
        self.gradient: dict[str, torch.Tensor] = {}

    def on_before_optimizer_step(self, trainer, module, optimizer) -> None:
        self.gradient = {
            n: full_tensor(p.grad).clone() for n, p in module.policy.named_parameters() if p.grad is not None
        }


def main(target: str, devices: int, kind: str) -> None:
    overrides = [
        "debug=default",
        "algorithm=reinforce",
        "algorithm.advantages.baseline=none",
        "benchmark.sizes={train: 8, validation: 4, test: 4}",
        f"paths.output_dir={Path(target).parent}",
        f"trainer.devices={devices}",
        f"trainer.accumulate_grad_batches={2 // devices}",
        "trainer.max_epochs=1",
        f"trainer={kind}",
        "trainer.accelerator=cpu",
    ]
    with initialize_config_dir(str(Path(__file__).parents[2] / "configs"), version_base="1.3"):
        cfg = compose("train", overrides)
    config = RunConfig.of(cfg)
    with Components.build(cfg, PhaseClock()) as components:
        recorder = GradientRecorder()
        trainer = build_trainer(cfg, Path(target).parent, [], [recorder], {"limit_val_batches": 0})
        module = RLTFModule(components.policy, components.sampling, [1])
        data = components.datamodule(config.evaluation, config.seed, trainer, build(cfg, "buffer"))
        mix = build(cfg, "algorithm.mix")
        problems = data.train_problems[trainer.global_rank :: trainer.world_size]
        pipeline = components.pipeline
        pending = pipeline.start_rollouts(problems, range(PROGRAMS // 8), components.sampling, 0)
        data.buffer.extend(rollout for group in pipeline.collect_rollouts(pending) for rollout in group)
        module.double()
        module.start(Phase(name="rl", mix=mix, optimizer=partial(torch.optim.AdamW, weight_decay=0.0), lr=1e-2))
        accumulate = trainer.accumulate_grad_batches
        data.start(StreamPlan(mix=mix, updates=1, accumulate=accumulate, batch_size=PROGRAMS // 2, demonstrations=0))
        trainer.fit(module, datamodule=data)
        if trainer.is_global_zero:
            torch.save(recorder.gradient, target)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
