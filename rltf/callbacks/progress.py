"""Progress of a run on the console: one live line in a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence

import lightning.pytorch as L
from rich.console import Console
from rich.live import Live
from rich.text import Text

from rltf.callbacks.base import RLTFCallback
from rltf.rollouts.groups import JudgedGroup
from rltf.training.module import RLTFModule
from rltf.types import Outcome, Rollout
from rltf.validation import require

LABELS = {
    "passed": (Outcome.PASSED,),
    "wrong": (Outcome.WRONG_ANSWER,),
    "runtime": tuple(o for o in Outcome if o.is_error),
    "syntax": (Outcome.SYNTAX_ERROR,),
}
"""Label of a share -> outcomes that it counts."""
RATE_WINDOW = 10
"""Iterations, or parts of an evaluation, over which programs a second are counted."""


class Progress(RLTFCallback):
    """Phase, iteration, time left, programs a second, mean reward, outcome shares and validation pass@1.

    Args:
        every: seconds between plain lines of the warm-up and of an evaluation, when the output is no terminal.
        quiet: print nothing.
        console: prints; a terminal gets a live line. None: standard output.
    """

    def __init__(self, every: float = 10.0, quiet: bool = False, console: Console | None = None) -> None:
        require("every", every, at_least=0)
        self.console = console or Console(soft_wrap=True, highlight=False, quiet=quiet)
        self.every = every
        self._live: Live | None = None
        self._prints = False
        self._start = self._printed_at = 0.0
        self._start_position = 0
        self._activity = ""
        self._figures = self._short_figures = ""
        self._is_harvested = False
        self._pass_at_1: float | None = None
        self._counts: deque[tuple[float, int]] = deque(maxlen=RATE_WINDOW + 1)
        self._evaluated: tuple[int, int] | None = None

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Opens the live line."""
        self._open(trainer)

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Time left is counted from here, also in a run that is resumed."""
        self._start, self._start_position = time.monotonic(), self._position(trainer)[0]
        if self._start_position:
            self._counts.clear()  # its first programs were drawn before

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """An iteration begins with drawing."""
        self._is_harvested, self._activity = False, "drawing"
        self._show(trainer)

    def on_rollouts(self, trainer: L.Trainer, module: RLTFModule, groups: Sequence[Sequence[Rollout]]) -> None:
        """Shares of the programs whose verdicts are there."""
        rollouts = [r for group in groups for r in group if not r.program.greedy]
        if not rollouts:
            return
        mean = sum(r.reward for r in rollouts) / len(rollouts)
        shares = {
            label: sum(r.verdict.outcome in outcomes for r in rollouts) / len(rollouts)
            for label, outcomes in LABELS.items()
        }
        self._short_figures = f"reward {mean:+.2f}  passed {shares['passed']:.0%}"
        self._figures = f"reward {mean:+.2f}  " + " ".join(f"{label} {share:.0%}" for label, share in shares.items())
        if unjudgeable := [r for r in self.data.pipeline.unjudgeable if not r.program.greedy]:
            self._figures += f" ({len(unjudgeable)} more could not be judged)"
        self._is_harvested = True
        self._count(trainer, sum(map(len, groups)))
        self._show(trainer)

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: object, batch_idx: int
    ) -> None:
        """An iteration goes on with training."""
        self._activity = "training"

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        """A line of the warm-up, now and then."""
        self._show(trainer)
        if self._in_warmup:
            self._print_sometimes(trainer)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """One plain line an iteration when there is no terminal."""
        self._print(trainer)

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """An iteration may end with a validation."""
        self._activity = "validating"
        self._show(trainer)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Remembers pass@1."""
        value = trainer.callback_metrics.get("val/pass@1")
        if value is not None and not trainer.sanity_checking:
            self._pass_at_1 = float(value)

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Closes the live line and leaves its last state."""
        self._close(trainer)

    def on_test_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Opens the live line of an evaluation."""
        plan = self.data.test_plan
        problems = self.data.benchmark.problems(plan.split)[: plan.problems]
        self._evaluated = (0, len(problems[trainer.global_rank :: trainer.world_size]))
        self._open(trainer)

    def on_test_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: object,
        batch: Sequence[JudgedGroup],
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Counts the problems whose programs are judged."""
        assert self._evaluated is not None
        self._evaluated = (self._evaluated[0] + len(batch), self._evaluated[1])
        self._count(trainer, sum(len(group.programs) for group in batch))
        self._show(trainer)
        self._print_sometimes(trainer)

    def on_test_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Takes the live line away: the command prints the result."""
        self._take_away()
        self._evaluated = None

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Gives the terminal back."""
        self._close(trainer)

    def _open(self, trainer: L.Trainer) -> None:
        self._take_away()
        self._prints = trainer.is_global_zero and not self.console.quiet
        self._start = self._printed_at = time.monotonic()
        self._start_position = 0
        self._counts.clear()
        self._counts.append((self._start, 0))
        if self._prints and self.console.is_terminal:
            terminal = Console(file=self.console.file, force_terminal=True, highlight=False)
            self._live = Live(
                console=terminal,
                transient=True,
                refresh_per_second=4,
                get_renderable=lambda: self._live_text(trainer, terminal.width),
            )
            self._live.start()

    def _take_away(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _close(self, trainer: L.Trainer) -> None:
        if self._live is not None:
            self._take_away()
            self._print(trainer)

    def _show(self, trainer: L.Trainer) -> None:
        """The live line is drawn anew four times a second by itself; this is for the changes in between."""
        if self._live is not None and time.monotonic() - self._printed_at > 0.2:
            self._printed_at = time.monotonic()
            self._live.refresh()

    def _print(self, trainer: L.Trainer) -> None:
        if self._live is None and self._prints:
            self._printed_at = time.monotonic()
            self.console.print(self._text(trainer))

    def _print_sometimes(self, trainer: L.Trainer) -> None:
        if time.monotonic() - self._printed_at > self.every:
            self._print(trainer)

    def _count(self, trainer: L.Trainer, programs: int) -> None:
        self._counts.append((time.monotonic(), programs * trainer.world_size))

    def _live_text(self, trainer: L.Trainer, width: int) -> Text:
        """The line as long as a terminal is wide: shares of errors go first, then what is being done, then programs a
        second."""
        texts = [self._text(trainer, True, brevity) for brevity in range(4)]
        fitting = next((text for text in texts if len(text) <= width), texts[-1])
        return Text(fitting, no_wrap=True, overflow="ellipsis")

    def _text(self, trainer: L.Trainer, live: bool = False, brevity: int = 0) -> str:
        position, total = self._position(trainer)
        if self._evaluated is not None:
            parts = [f"evaluation {position}/{total} problems", self._time_left(trainer), self._rate()]
        elif self._in_warmup:
            parts = [f"warm-up {position}/{total}", self._time_left(trainer), self._loss()]
        else:
            iteration = min(trainer.current_epoch + 1, total)
            activity = f"{self._activity:10}" if live and brevity < 2 else ""
            parts = [f"rl {iteration}/{total}", activity, self._time_left(trainer)]
            parts += [self._rate() if brevity < 3 else "", self._newest_figures(brevity > 0), self._validation()]
        return "  ".join(filter(None, parts))

    def _newest_figures(self, short: bool) -> str:
        """Figures of the newest programs; those of an iteration that trains before its verdicts are there do not come
        again."""
        plan = self.data.plan
        if plan is not None and not plan.mix.needs_rollouts:
            return self._loss()
        if self._activity != "drawing" and not self._is_harvested:
            return "judging"
        return self._short_figures if short else self._figures

    def _loss(self) -> str:
        return "" if self.module.last_loss is None else f"loss {self.module.last_loss:.3f}"

    def _validation(self) -> str:
        return "" if self._pass_at_1 is None else f"val pass@1 {self._pass_at_1:.1%}"

    def _rate(self) -> str:
        counts = tuple(self._counts)  # the live line is drawn in a thread of its own
        seconds = counts[-1][0] - counts[0][0] if counts else 0.0
        return f"{sum(count for _, count in counts[1:]) / seconds:.0f} programs/s" if seconds else ""

    def _time_left(self, trainer: L.Trainer) -> str:
        position, total = self._position(trainer)
        done = position - self._start_position
        if done <= 0 or position >= total:
            return ""
        seconds = round((time.monotonic() - self._start) / done * (total - position))
        minutes, seconds = divmod(seconds, 60)
        hours, minutes = divmod(minutes, 60)
        return f"{hours}:{minutes:02}:{seconds:02} left" if hours else f"{minutes}:{seconds:02} left"

    @property
    def _in_warmup(self) -> bool:
        return self.module.phase_name == "warmup"

    def _position(self, trainer: L.Trainer) -> tuple[int, int]:
        """What is done and what there is to do: problems of an evaluation, steps of the warm-up, iterations of RL."""
        if self._evaluated is not None:
            return self._evaluated
        plan = self.data.plan
        if self._in_warmup and plan is not None:
            total = plan.total_updates  # the last epoch is shorter, which Lightning does not know
            return trainer.global_step, int(trainer.estimated_stepping_batches) if total is None else total
        return trainer.current_epoch, trainer.max_epochs or 0
