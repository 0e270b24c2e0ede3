"""Curriculum of own prefixes: replay until about half of a problem's programs pass (arXiv 2605.05112, prefix sampling).

A group of programs that all pass or all fail teaches nothing; one of which half pass teaches most. So the next programs
of a problem that is too hard begin with a prefix of an own program that passed (a head start), those of one that is too
easy with a prefix of an own program that failed (a handicap). The prefix is context and carries no loss. It is a part
of the tokens as they were drawn, so nothing is encoded anew. Each problem has a number, its `lead`:

    lead <- clip(lead + gain * (target - share that passed), -longest, longest)

The next prefix has |lead| of the tokens of the newest program of that kind; without such a program the lead is 0.

How it deviates from the paper, whose sections on control were not at hand:
1. A problem is replayed when its turn comes, in the place of its plain programs. The paper replays states of an agent
   in groups of their own, beside plain ones.
2. The rule of the lead is ours: the paper says that length and direction follow the pass rate of the group.
3. The program that is replayed is the newest one that passed (failed), of several the first drawn. Programs that the
   length limit cut are not replayed.
4. Where a model's context is bounded, a prefix leaves room for the prompt and for `new_tokens`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from rltf.benchmarks.base import Benchmark
from rltf.policies.base import Policy
from rltf.types import FinishReason, Outcome, Problem, Rollout
from rltf.validation import require

Ids = tuple[int, ...]


class PrefixReplay:
    """Starts training programs with prefixes of the policy's own earlier programs, so that about half of them pass.

    Args:
        benchmark: writes prompts.
        policy: encodes prompts; bounds the tokens of prompt and program.
        target: share of a group's programs that is to pass.
        gain: share of a program's tokens by which a prefix grows when the share that passes is 1 too low.
        longest: most of a program that is replayed, as a share of its tokens.
        handicap: replay programs that failed, too, where too many pass.
        new_tokens: most tokens that are drawn after a prefix.

    Raises:
        OptionError: an argument is out of range.

    Example: of four programs one passes, so with the gain 1 the lead rises by 0.5 - 0.25.

        lead 0    -> programs are written whole, 1 of 4 passes
        lead 0.25 -> the next ones begin with a quarter of the one that passed
    """

    def __init__(
        self,
        benchmark: Benchmark,
        policy: Policy,
        target: float = 0.5,
        gain: float = 0.5,
        longest: float = 0.9,
        handicap: bool = True,
        new_tokens: int = 512,
    ) -> None:
        require("target", target, above=0, below=1)
        require("gain", gain, above=0, at_most=1)
        require("longest", longest, above=0, below=1)
        require("handicap", handicap, choices=(True, False))
        require("new_tokens", new_tokens, at_least=1, whole=True)
        self._benchmark, self._policy = benchmark, policy
        self._target, self._gain, self._longest = target, gain, longest
        self._handicap, self._new_tokens = handicap, new_tokens
        self._leads: dict[str, float] = {}
        """Id of a problem that was visited -> its lead; below 0: a handicap."""
        self._passed: dict[str, Ids] = {}
        """Id of a problem -> tokens of its newest program that passed, the last one left out."""
        self._failed: dict[str, Ids] = {}
        """The same of one that failed."""
        self._unmet: dict[str, bool] = {}
        """Id of a problem -> whether its last group called for a prefix and there was no program to take it from."""

    def prefix_ids(self, problem: Problem) -> Ids:
        """The prefix of the problem's next programs; empty: they are written whole."""
        lead = self._leads.get(problem.id, 0.0)
        program = (self._passed if lead > 0 else self._failed).get(problem.id, ())
        length = round(abs(lead) * len(program))
        if length and self._policy.context is not None:
            prompt = self._policy.encode_prompt(self._benchmark.prompt(problem))
            length = max(0, min(length, self._policy.context - len(prompt) - self._new_tokens))
        return program[:length]

    def update(self, problem: Problem, rollouts: Sequence[Rollout]) -> None:
        """Moves the lead by the share of the sampled programs with the present prefix that passed, and keeps the first
        program of each kind."""
        prefix = self.prefix_ids(problem)
        sampled = [r for r in rollouts if not r.program.greedy]
        current = [_passes(r) for r in sampled if r.program.prefix_ids == prefix]
        for rollout in reversed(sampled):
            program = rollout.program
            if program.finish is not FinishReason.LENGTH:
                sources = self._passed if _passes(rollout) else self._failed
                sources[problem.id] = (program.prefix_ids + program.token_ids)[:-1]
        if not current:
            return
        lead = self._leads.get(problem.id, 0.0) + self._gain * (self._target - fmean(current))
        wanted = self._passed if lead > 0 else self._failed
        possible = bool(wanted.get(problem.id)) and (lead > 0 or self._handicap)
        self._unmet[problem.id] = lead > 0 and not possible
        self._leads[problem.id] = min(max(lead, -self._longest), self._longest) if possible else 0.0

    def metrics(self) -> dict[str, float]:
        """Metrics over the problems met so far: their number `curriculum/problems`, the mean share of a program that
        is replayed `curriculum/given_share`, and the shares of problems written whole `curriculum/whole_share`, with a
        head start, with a handicap, and left without a head start because none of their programs ever passed
        (`curriculum/unmet_share`)."""
        if not self._leads:
            return {}
        leads = self._leads.values()
        return {
            "curriculum/problems": float(len(leads)),
            "curriculum/given_share": fmean(abs(lead) for lead in leads),
            "curriculum/whole_share": fmean(lead == 0 for lead in leads),
            "curriculum/head_start_share": fmean(lead > 0 for lead in leads),
            "curriculum/handicap_share": fmean(lead < 0 for lead in leads),
            "curriculum/unmet_share": fmean(self._unmet.values()),
        }

    def state_dict(self) -> dict[str, Any]:
        """State for a checkpoint: leads and replayed programs, by problem id."""
        return {
            "leads": dict(self._leads),
            "passed": dict(self._passed),
            "failed": dict(self._failed),
            "unmet": dict(self._unmet),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores a state that `state_dict` returned."""
        self._leads, self._unmet = dict(state["leads"]), dict(state["unmet"])
        self._passed = {problem_id: tuple(ids) for problem_id, ids in state["passed"].items()}
        self._failed = {problem_id: tuple(ids) for problem_id, ids in state["failed"].items()}


def _passes(rollout: Rollout) -> bool:
    return rollout.verdict.outcome is Outcome.PASSED
