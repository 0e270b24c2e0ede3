"""Progress of a run on the console: what the line says, in a terminal and elsewhere."""

import io
from types import SimpleNamespace

import pytest
from rich.console import Console

from rltf.callbacks import progress as progress_module
from rltf.callbacks.progress import Progress
from rltf.types import Outcome


def rollout(outcome, reward):
    return SimpleNamespace(
        program=SimpleNamespace(greedy=False), verdict=SimpleNamespace(outcome=outcome), reward=reward
    )


class Clock:
    """Seconds that a test sets."""

    seconds = 0.0

    def monotonic(self):
        return self.seconds


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(progress_module, "time", clock)
    return clock


@pytest.fixture
def run(monkeypatch, clock):
    """A run of four iterations on one process; `phase_name`, `plan` and `epoch` can be set."""
    mix = SimpleNamespace(needs_rollouts=True)
    data = SimpleNamespace(
        plan=SimpleNamespace(total_updates=None, mix=mix),
        pipeline=SimpleNamespace(unjudgeable=[]),
        benchmark=SimpleNamespace(problems=lambda split: list(range(300))),
        test_plan=SimpleNamespace(split="test", problems=200),
    )
    module = SimpleNamespace(phase_name="rl", last_loss=None)
    monkeypatch.setattr(Progress, "data", data)
    monkeypatch.setattr(Progress, "module", module)
    trainer = SimpleNamespace(
        is_global_zero=True,
        world_size=1,
        global_rank=0,
        current_epoch=0,
        max_epochs=4,
        global_step=0,
        estimated_stepping_batches=2000,
        callback_metrics={},
        sanity_checking=False,
    )
    return SimpleNamespace(data=data, module=module, trainer=trainer)


def lines(console):
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


@pytest.fixture
def console():
    return Console(file=io.StringIO(), soft_wrap=True, highlight=False)


def iterate(progress, run, clock, rollouts, validates=False):
    """One iteration of ten seconds; `rollouts` are harvested, None: no verdict was there."""
    trainer = run.trainer
    progress.on_train_epoch_start(trainer, None)
    clock.seconds += 5
    if rollouts is not None:
        progress.on_rollouts(trainer, run.module, [rollouts])
    progress.on_train_batch_start(trainer, None, None, 0)
    clock.seconds += 5
    progress.on_train_batch_end(trainer, None, None, None, 0)
    if validates:
        progress.on_validation_start(trainer, None)
        trainer.callback_metrics["val/pass@1"] = 0.25
        progress.on_validation_end(trainer, None)
    progress.on_train_epoch_end(trainer, None)
    trainer.current_epoch += 1


def test_an_iteration_without_new_verdicts_says_judging_and_repeats_no_figures(run, clock, console):
    progress = Progress(console=console)
    progress.on_fit_start(run.trainer, None)
    progress.on_train_start(run.trainer, None)
    half = [rollout(Outcome.PASSED, 1.0), rollout(Outcome.WRONG_ANSWER, -0.5)]
    iterate(progress, run, clock, half * 10)
    iterate(progress, run, clock, None, validates=True)
    iterate(progress, run, clock, [rollout(Outcome.SYNTAX_ERROR, -1.0)] * 20)
    assert lines(console) == [
        "rl 1/4  4 programs/s  reward +0.25  passed 50% wrong 50% runtime 0% syntax 0%",
        "rl 2/4  1:00 left  4 programs/s  judging  val pass@1 25.0%",
        "rl 3/4  0:30 left  2 programs/s  reward -1.00  passed 0% wrong 0% runtime 0% syntax 100%  val pass@1 25.0%",
    ]


def test_supervised_training_alone_has_a_loss_and_judges_nothing(run, clock, console):
    progress = Progress(console=console)
    run.data.plan.mix.needs_rollouts, run.module.last_loss = False, 0.5
    progress.on_fit_start(run.trainer, None)
    iterate(progress, run, clock, None)
    assert lines(console) == ["rl 1/4  loss 0.500"]


@pytest.mark.parametrize(("total_updates", "expected"), [(1200, "warm-up 300/1200"), (None, "warm-up 300/2000")])
def test_a_warm_up_counts_the_steps_that_it_will_take(run, clock, console, total_updates, expected):
    """1,200 steps, a checkpoint every 1,000: Lightning sees two epochs of 1,000."""
    progress = Progress(console=console, every=10)
    run.module.phase_name, run.data.plan.total_updates = "warmup", total_updates
    progress.on_fit_start(run.trainer, None)
    progress.on_train_start(run.trainer, None)
    for step, seconds in ((100, 5), (300, 11), (301, 12)):
        run.trainer.global_step, clock.seconds = step, seconds
        progress.on_train_batch_end(run.trainer, None, None, None, 0)
    assert [line.partition("  ")[0] for line in lines(console)] == [expected]


def test_an_evaluation_counts_problems_and_programs(run, clock, console):
    progress = Progress(console=console, every=10)
    progress.on_test_start(run.trainer, None)
    groups = [SimpleNamespace(programs=range(11))] * 50
    for seconds in (8, 16, 24):
        clock.seconds = seconds
        progress.on_test_batch_end(run.trainer, None, None, groups, 0)
    progress.on_test_end(run.trainer, None)
    assert lines(console) == ["evaluation 100/200 problems  0:16 left  69 programs/s"]


@pytest.mark.parametrize(
    ("width", "expected"),
    [
        (140, "training    4 programs/s  reward +1.00  passed 100% wrong 0% runtime 0% syntax 0%  val pass@1 25.0%"),
        (80, "training    4 programs/s  reward +1.00  passed 100%  val pass@1 25.0%"),
        (70, "4 programs/s  reward +1.00  passed 100%  val pass@1 25.0%"),
        (60, "reward +1.00  passed 100%  val pass@1 25.0%"),
    ],
)
def test_a_narrow_terminal_loses_the_shares_of_errors_first(run, clock, width, expected):
    progress = Progress()
    progress._counts.append((0.0, 0))
    clock.seconds = 10
    progress.on_rollouts(run.trainer, run.module, [[rollout(Outcome.PASSED, 1.0)] * 40])
    progress.on_train_batch_start(run.trainer, None, None, 0)
    run.trainer.callback_metrics["val/pass@1"] = 0.25
    progress.on_validation_end(run.trainer, None)
    assert progress._live_text(run.trainer, width).plain == f"rl 1/4  {expected}"


def test_hours_are_told(run, clock):
    progress = Progress()
    progress.on_train_start(run.trainer, None)
    run.trainer.current_epoch, clock.seconds = 1, 3661
    assert progress._time_left(run.trainer) == "3:03:03 left"


def test_a_run_that_is_resumed_counts_time_from_there(run, clock):
    progress = Progress()
    run.trainer.current_epoch = 2
    progress.on_train_start(run.trainer, None)
    progress.on_rollouts(run.trainer, run.module, [[rollout(Outcome.PASSED, 1.0)] * 40])
    assert progress._rate() == ""  # these were drawn before
    run.trainer.current_epoch, clock.seconds = 3, 90
    assert progress._time_left(run.trainer) == "1:30 left"
    progress.on_rollouts(run.trainer, run.module, [[rollout(Outcome.PASSED, 1.0)] * 180])
    assert progress._rate() == "2 programs/s"


def test_quiet_prints_nothing(run, clock, capsys):
    progress = Progress(quiet=True)
    progress.on_fit_start(run.trainer, None)
    iterate(progress, run, clock, [rollout(Outcome.PASSED, 1.0)])
    progress.on_fit_end(run.trainer, None)
    assert capsys.readouterr() == ("", "")


def test_other_processes_print_nothing(run, clock, console):
    progress = Progress(console=console)
    run.trainer.is_global_zero = False
    progress.on_fit_start(run.trainer, None)
    iterate(progress, run, clock, [rollout(Outcome.PASSED, 1.0)])
    assert lines(console) == []


def test_a_terminal_gets_one_line_in_place(run, clock):
    console = Console(file=io.StringIO(), force_terminal=True, soft_wrap=True, highlight=False, width=60)
    progress = Progress(console=console)
    progress.on_fit_start(run.trainer, None)
    progress.on_rollouts(run.trainer, run.module, [[rollout(Outcome.PASSED, 1.0)] * 40])
    assert progress._live is not None
    progress._live.refresh()
    text = console.file.getvalue()
    assert "rl 1/4" in text
    assert "\n" not in text
    progress.on_fit_end(run.trainer, None)
    assert console.file.getvalue().endswith("rl 1/4  reward +1.00  passed 100% wrong 0% runtime 0% syntax 0%\n")
