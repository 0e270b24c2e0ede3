"""Iterations of RL with executors that cost nothing or sleep: two processes against one, judging beside training."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import Future
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, ClassVar

import lightning.pytorch as L
import torch
from hydra import compose, initialize_config_dir

from rltf.algorithms.loss_mix import LossMix
from rltf.callbacks.generation import GenerationCallback
from rltf.callbacks.phase_timer import PhaseTimer
from rltf.commands.start import quiet_libraries
from rltf.execution import LocalExecutor
from rltf.execution.cores import CorePinning
from rltf.rollouts.clock import PhaseClock
from rltf.setup.components import Components
from rltf.setup.config import RunConfig
from rltf.setup.instantiate import build
from rltf.setup.trainer import build_trainer
from rltf.training.module import RLTFModule
from rltf.training.phase import Phase
from rltf.training.plans import StreamPlan
from rltf.types import CallTest, Job, Outcome, Verdict

ROOT = Path(__file__).resolve().parents[3]
MORE = ("generation", "execution_wait", "training")
"""Phases that real execution may lengthen, the first iteration included, which always waits."""
PASSED = Verdict(Outcome.PASSED, 1, 1, None, (), 0.0, {})


class Instant:
    """An executor that costs nothing."""

    def submit(self, job: Job) -> Future[Verdict]:
        future: Future[Verdict] = Future()
        future.set_result(PASSED)
        return future


class Sleeping:
    """Judges a program that sleeps so many seconds in place of each that it is given; never the same one twice, since
    the pool remembers verdicts."""

    _numbers: ClassVar[Iterator[int]] = count()

    def __init__(self, pool: LocalExecutor, seconds: float) -> None:
        self._pool, self._seconds = pool, seconds

    def submit(self, job: Job | None = None) -> Future[Verdict]:
        text = f"import time\ndef f():\n    time.sleep({self._seconds})\n# {next(self._numbers)}\n"
        return self._pool.submit(Job(text, (CallTest("f", (), None),)))


class IterationTimes(L.Callback):
    """When each iteration (Lightning's epoch) ended."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_train_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self.ends.append(time.perf_counter())

    @property
    def seconds(self) -> list[float]:
        """Of each iteration but the first, which warms up."""
        return [b - a for a, b in zip(self.ends, self.ends[1:], strict=False)]


def composed(*overrides: str) -> Any:
    """The default run's shape: 32 problems, 8 programs each, 4 micro-batches of 64."""
    fixed = ["logger=none", "rollouts.lag=1", "trainer.log_every_n_steps=1000"]
    fixed.append("benchmark.sizes={train: 512, validation: 8, test: 8}")
    with initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
        return compose("train", [f"paths.output_dir={tempfile.mkdtemp()}", *fixed, *overrides])


def run(components: Components, cfg: Any, executor: Any, iterations: int) -> list[float]:
    """Wall seconds of each iteration of RL, evaluations and checkpoints left out."""
    config = RunConfig.of(cfg)
    pipeline, rollouts = components.pipeline, config.rollouts
    pipeline.executor = executor
    times = IterationTimes()
    callbacks = [
        PhaseTimer(),
        GenerationCallback(pipeline, components.sampling, rollouts.problems, rollouts.samples, 1, config.seed),
        times,
    ]
    # two more: the first warms up, the last draws nothing
    overrides = {"max_epochs": iterations + 2, "limit_val_batches": 0}
    trainer = build_trainer(cfg, Path(cfg.paths.output_dir), [], callbacks, overrides)
    mix: LossMix = build(cfg, "algorithm.mix")
    module = RLTFModule(components.policy, components.sampling, [1])
    data = components.datamodule(config.evaluation, config.seed, trainer, build(cfg, "buffer"))
    accumulate = trainer.accumulate_grad_batches
    module.start(Phase(name="rl", mix=mix, optimizer=partial(torch.optim.AdamW, weight_decay=0.0), lr=0.0))
    data.start(
        StreamPlan(
            mix=mix,
            updates=1,
            accumulate=accumulate,
            batch_size=rollouts.batch_size,
            demonstrations=rollouts.demonstrations,
        )
    )
    trainer.fit(module, datamodule=data)
    return times.seconds[:-1]


def ddp(quick: bool) -> dict[str, Any]:
    """Weak scaling: each process draws and trains on as much as a single one does; judging costs nothing here."""
    rows, rounds = [], 1 if quick else 3
    for _ in range(rounds):
        seconds = {}
        for devices in (1, 2):
            command = [
                sys.executable,
                str(ROOT / "tests/perf/scaling.py"),
                "--child",
                str(devices),
                *(["--quick"] if quick else []),
            ]
            environment = {**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
            out = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout
            seconds[devices] = json.loads(out.strip().splitlines()[-1])
        rows.append((seconds[1], seconds[2], seconds[1] / seconds[2]))
    one, two, efficiency = (round(statistics.median(column), 4) for column in zip(*rows, strict=True))
    return {"iteration_s_1": one, "iteration_s_2": two, "efficiency": efficiency, "goal": 0.9}


def ddp_child(devices: int, quick: bool) -> None:
    """Prints the median seconds of an iteration."""
    quiet_libraries()
    several = ["trainer=ddp", "trainer.accelerator=cpu", f"trainer.devices={devices}"] if devices > 1 else []
    smaller = ["rollouts.problems=4", "rollouts.batch_size=8"] if quick else []
    cfg = composed(*several, *smaller)
    with Components.build(cfg, PhaseClock()) as components:
        torch.set_num_threads(1)
        seconds = run(components, cfg, Instant(), 3 if quick else 12)
    if int(os.environ.get("LOCAL_RANK", "0")) == 0:
        print(json.dumps(statistics.median(seconds)))


def hidden(quick: bool) -> dict[str, Any]:
    """1 - (wall with real execution - wall with instant execution) / wall of execution alone, at lag 1, where execution
    takes 0.9 of the rest: by programs that sleep, so that two cores are enough. Alone it runs on the cores that it has
    beside training. A wall with instant execution is the mean of the ones before and after: machines drift."""
    cfg = composed(*(["rollouts.problems=4", "rollouts.batch_size=8"] if quick else []))
    iterations = 2 if quick else 6
    programs = cfg.rollouts.problems * cfg.rollouts.samples
    rows = []
    with Components.build(cfg, PhaseClock()) as components:
        torch.set_num_threads(1)
        workers = 16
        pool = LocalExecutor(workers=workers)
        assert components.pinning is not None
        components.pinning.close()
        pinning = components.clock.on_phase = CorePinning(pool.use_cores, threads=1)
        run(components, cfg, Instant(), 1)  # the first pays for memory
        instant, phases = _run(components, cfg, Instant(), iterations)
        for _ in range(1 if quick else 7):
            seconds = 0.9 * instant / iterations * workers / programs
            pinning("training")  # alone, but on the cores that it has beside training
            for _ in range(3):  # a program takes longer than it sleeps: shorten until all fit
                alone = sum(_alone(Sleeping(pool, seconds), programs) for _ in range(2)) / 2
                seconds *= min(1.0, 0.88 * instant / iterations / alone)
            sleeping = Sleeping(pool, seconds)
            alone = iterations * sum(_alone(sleeping, programs) for _ in range(2)) / 2
            pinning("setup")
            real, busy = _run(components, cfg, sleeping, iterations)
            after, idle = _run(components, cfg, Instant(), iterations)
            rest = (instant + after) / 2
            more = [busy[phase] - (phases[phase] + idle[phase]) / 2 for phase in MORE]
            rows.append((1 - (real - rest) / alone, real, rest, alone, alone / rest, *more))
            instant, phases = after, idle
        pinning.close()
        pool.close()
    names = ("hidden", "real_s", "instant_s", "execution_alone_s", "execution_over_rest")
    names += tuple(f"more_{phase}_s" for phase in MORE)
    medians = (round(statistics.median(column), 4) for column in zip(*rows, strict=True))
    return {**dict(zip(names, medians, strict=True)), "all": [round(row[0], 4) for row in rows], "goal": 0.98}


def _run(components: Components, cfg: Any, executor: Any, iterations: int) -> tuple[float, dict[str, float]]:
    """Wall seconds of so many iterations, and of their phases."""
    before = components.clock.seconds()
    wall = sum(run(components, cfg, executor, iterations))
    after = components.clock.seconds()
    return wall, {phase: after.get(phase, 0.0) - before.get(phase, 0.0) for phase in MORE}


def _alone(executor: Sleeping, programs: int) -> float:
    start = time.perf_counter()
    for future in [executor.submit() for _ in range(programs)]:
        future.result()
    return time.perf_counter() - start
