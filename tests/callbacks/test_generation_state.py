"""What a checkpoint waits for is counted as waiting."""

import threading
from concurrent.futures import Future
from types import SimpleNamespace

from rltf.callbacks.generation import GenerationCallback
from rltf.rollouts.clock import PhaseClock
from rltf.rollouts.groups import PendingRollouts
from rltf.types import FinishReason, Outcome, Problem, Program, Sampling, Verdict


def test_a_checkpoint_that_waits_for_verdicts_counts_as_waiting_not_as_training():
    clock = PhaseClock()
    callback = GenerationCallback(SimpleNamespace(clock=clock), Sampling(), 1, 1, 1, 0)  # type: ignore[arg-type]
    program = Program("p", "pass", (1,), (2,), ((0, 4),), (-0.5,), FinishReason.EOS, 0, 0)
    verdict: Future[Verdict] = Future()
    callback._pending = PendingRollouts(((Problem("p", "", ()), (program,), (verdict,)),))
    judge = threading.Timer(0.3, lambda: verdict.set_result(Verdict(Outcome.PASSED, 1, 1)))
    clock.on_phase = lambda phase: judge.start() if phase == "execution_wait" else None
    with clock("training"):
        state = callback.state_dict()
    assert len(state["pending"]) == 1
    assert clock.seconds()["execution_wait"] > 0.29  # it begins to be judged when the waiting does
