"""The plan of tasks of a run, and what it asks of the other options."""

from __future__ import annotations

from omegaconf import DictConfig

from rltf.callbacks.continual import ContinualCallback
from rltf.rollouts.tasks import Tasks
from rltf.setup.components import Components
from rltf.training.datamodule import RolloutDataModule
from rltf.validation import OptionError


def continual_callbacks(components: Components) -> list[ContinualCallback]:
    """The callback that scores all tasks; empty where there is no plan of tasks."""
    return [ContinualCallback(components.tasks)] if isinstance(components.tasks, Tasks) else []


def check_tasks(cfg: DictConfig, components: Components, data: RolloutDataModule) -> None:
    """Whether iterations, validations and held-out problems fit the plan of tasks.

    Raises:
        ValueError: they do not; one sentence.
    """
    tasks = components.tasks
    if not isinstance(tasks, Tasks):
        return
    names = tasks.names(data.train_problems)
    iterations, every = cfg.trainer.max_epochs, cfg.trainer.check_val_every_n_epoch
    if iterations % len(names):
        expected = f"a multiple of {len(names)}, since each task ({', '.join(names)}) has as many iterations"
        raise OptionError("trainer.max_epochs", iterations, expected)
    if iterations // len(names) % every:
        expected = f"a divisor of {iterations // len(names)}, the iterations of a task, which ends with a validation"
        raise OptionError("trainer.check_val_every_n_epoch", every, expected)
    held_out = list(data.benchmark.problems("validation"))[: data.validation_plan.problems]
    missing = [name for name in names if name not in {tasks.task_of(problem) for problem in held_out}]
    if missing:
        raise ValueError(
            f"tasks: none of the {len(held_out)} validation problems is of {tasks.by} {missing[0]}: expected some of "
            "every task (evaluation.validation_problems, benchmark.sizes.validation, benchmark.held_out)"
        )
    _ = data.problem_order  # refuses a memory or a number of processes that tasks are too small for
