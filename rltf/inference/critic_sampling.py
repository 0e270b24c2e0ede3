"""`inference=critic_sampling`: a second round of programs that starts from the first one (CodeRL, arXiv 2207.01780,
section 3.4; its code was never released).

1. N programs are drawn and tried on the example tests of the problem.
2. Refine: where some pass, the second round begins with the prefix of one of them that a critic trusts most. N programs
   are shared out among them.
3. Repair: where none passes, a repair model reads the failed programs that the critic trusts most, what went wrong and
   the task, and writes N programs.
4. Where none passes and there is no repair model, or the problem has no example tests, the first round is the last.

How it deviates:
1. A prefix leaves out at least the program's last token with text, so that the second round can differ.
2. Programs of equal text are refined once.
3. There is one round, as in the paper's main results.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from rltf.inference.repair import Failure, repair_prompt
from rltf.inference.search import Candidate, DrawRequest, Search, Task
from rltf.policies.base import Policy
from rltf.policies.load import pretrained
from rltf.rollouts.hooks import PrefixCritic
from rltf.rollouts.pipeline import RolloutPipeline
from rltf.types import Problem, Program, Sampling


class CriticSampling(Search):
    """Draws, refines and repairs.

    Args:
        pipeline: draws and judges.
        critic: trusts prefixes; None: that of the pipeline where it can, which is `critic=outcome`, else the policy's
            own doubt.
        repair: folder or hub id of the repair model (`stage=repair` trains one); None: nothing is repaired.
        failed: programs of a problem that are repaired.
        max_prompt_tokens: of the repair model.

    Raises:
        ValueError: `failed` is below 1, or the repair model does not load.
    """

    name = "critic_sampling"

    def __init__(
        self,
        pipeline: RolloutPipeline,
        critic: PrefixCritic | None = None,
        repair: str | None = None,
        failed: int = 1,
        max_prompt_tokens: int = 1024,
    ) -> None:
        super().__init__(pipeline)
        if failed < 1:
            raise ValueError(f"inference.failed is {failed}: expected a whole number of at least 1")
        asked = pipeline.critic if callable(pipeline.critic) else None  # critics of values say nothing of passing
        self._critic: PrefixCritic = critic or asked or UncertaintyCritic()
        self._failed, self._started = failed, False
        self._repairer = None if repair is None else _load(repair, max_prompt_tokens)

    def search(
        self, tasks: Sequence[Task], draws: Sequence[int], sampling: Sampling, seed: int
    ) -> list[list[Candidate]]:
        """Two rounds; the second one's draws follow the first one's, so that its random streams are new."""
        if not self._started:
            self._critic.start(self._pipeline.policy.model.device)
            self._started = True
        wishes = [DrawRequest(task, tuple(draws), task.prompt_ids) for task in tasks]
        found = self.draw(wishes, sampling, seed, "drawn")
        later = [draw + max(draws) + 1 for draw in range(len(draws))]
        refined = self._refine(tasks, found, later, self._critic)
        repaired = self._repair(tasks, found, later)
        for (at, _), drafts in zip(refined, self.draw([w for _, w in refined], sampling, seed, "refined"), strict=True):
            found[at] = found[at] + drafts
        if self._repairer is not None and repaired:
            self._repairer.to(self._pipeline.policy.model.device)
            drawn = self.draw([w for _, w in repaired], sampling, seed, "repaired", self._repairer)
            for (at, _), drafts in zip(repaired, drawn, strict=True):
                found[at] = found[at] + drafts
        return found

    def draw_in_rounds(
        self,
        problems: Sequence[Problem],
        draws: Sequence[int],
        sampling: Sampling,
        seed: int,
        *,
        greedy: bool,
        version: int,
        policy: Policy | None,
    ) -> Iterator[tuple[int, Program]]:
        """See `MultiRoundSampler.draw_in_rounds`. The second half of a problem's programs begins where the first half is
        trusted; where none of it passes the examples, they are drawn like the first. Tokens of a prefix carry no loss.

        A repair model takes no part: its programs answer other prompts than the policy's.
        """
        learning = self._pipeline.critic if self._critic is self._pipeline.critic else None  # the run starts that one
        if learning is None and not self._started:
            self._critic.start(self._pipeline.policy.model.device)
            self._started = True
        critic = self._critic if learning is None or learning.has_learned else UncertaintyCritic()
        tasks = [self._task(problem) for problem in problems]
        if greedy:
            yield from self._greedy(problems, tasks, sampling, seed, policy, version)
        later = draws[len(draws) - len(draws) // 2 :]
        firsts = [DrawRequest(task, tuple(draws[: len(draws) - len(later)]), task.prompt_ids) for task in tasks]
        found = self.draw(firsts, sampling, seed, "drawn", policy, version)
        wishes = self._refine(tasks, found, later, critic)
        refined = {at for at, _ in wishes}
        wishes += [(at, DrawRequest(t, tuple(later), t.prompt_ids)) for at, t in enumerate(tasks) if at not in refined]
        second = self.draw([wish for _, wish in wishes], sampling, seed, "refined", policy, version)
        for at, drafts in [*enumerate(found), *zip((at for at, _ in wishes), second, strict=True)]:
            yield from ((at, draft.program) for draft in drafts)

    def _refine(
        self, tasks: Sequence[Task], found: Sequence[Sequence[Candidate]], draws: Sequence[int], critic: PrefixCritic
    ) -> list[tuple[int, DrawRequest]]:
        """What to draw for which task."""
        chosen = [(at, d) for at, drafts in enumerate(found) for d in _best(drafts, len(draws)) if d.passes]
        counts = _shares([at for at, _ in chosen], draws)
        trust = critic([draft.program for _, draft in chosen]) if chosen else []
        wishes = []
        for (at, draft), share, trusted in zip(chosen, counts, trust, strict=True):
            program = draft.program
            cut = trusted_prefix(program, trusted)
            task = tasks[at]
            wish = DrawRequest(task, share, task.prompt_ids, program.token_ids[:cut], program.logprobs[:cut])
            wishes.append((at, wish))
        return wishes

    def _repair(
        self, tasks: Sequence[Task], found: Sequence[Sequence[Candidate]], draws: Sequence[int]
    ) -> list[tuple[int, DrawRequest]]:
        if self._repairer is None:
            return []
        failed = [
            (at, draft)
            for at, drafts in enumerate(found)
            if not any(draft.passes for draft in drafts)
            for draft in _best(drafts, len(drafts))
            if draft.examples is not None and draft.program.token_ids
        ]
        trust = self._critic([draft.program for _, draft in failed]) if failed else []
        by_task: dict[int, list[tuple[float, Candidate]]] = {}
        for (at, draft), trusted in zip(failed, trust, strict=True):
            by_task.setdefault(at, []).append((trusted[-1], draft))
        most = min(self._failed, len(draws))
        chosen = [
            (at, draft)
            for at, scored in by_task.items()
            for _, draft in sorted(scored, key=lambda pair: -pair[0])[:most]
        ]
        counts = _shares([at for at, _ in chosen], draws)
        return [
            (at, DrawRequest(tasks[at], share, self._repair_ids(self._repairer, tasks[at], draft)))
            for (at, draft), share in zip(chosen, counts, strict=True)
        ]

    def _repair_ids(self, repairer: Policy, task: Task, draft: Candidate) -> tuple[int, ...]:
        assert draft.examples is not None
        prompt = self._pipeline.benchmark.prompt(task.problem)
        return repairer.encode_prompt(repair_prompt(prompt, Failure.of(draft.program.text, draft.examples)))


def trusted_prefix(program: Program, trust: Sequence[float]) -> int:
    """How many of the program's tokens are kept: those up to the most trusted one, the longest of equals. The last
    token with text is never kept; 0 where that is the first one.

    Args:
        program: with offsets.
        trust: one number for each token.
    """
    last = max((t for t, (start, end) in enumerate(program.offsets) if start < end), default=0)
    return max(range(last), key=lambda t: (trust[t], t)) + 1 if last else 0


def _best(drafts: Sequence[Candidate], most: int) -> list[Candidate]:
    """Different programs, those that pass first, then by mean log-prob; at most so many."""
    by_text: dict[str, Candidate] = {}
    for draft in sorted(drafts, key=lambda draft: (not draft.passes, -draft.logprob)):
        by_text.setdefault(draft.program.text, draft)
    return list(by_text.values())[:most]


def _shares(owners: Sequence[int], draws: Sequence[int]) -> list[tuple[int, ...]]:
    """The draws of a problem, shared out among its seeds; the first ones get what is left over.

    >>> _shares([7, 7, 9], [10, 11, 12])
    [(10, 12), (11,), (10, 11, 12)]
    """
    seats = [owners[:i].count(owner) for i, owner in enumerate(owners)]
    return [tuple(draws[seat :: owners.count(owner)]) for owner, seat in zip(owners, seats, strict=True)]


def _load(repair: str, max_prompt_tokens: int) -> Policy:
    folder = Path(repair)
    folder = folder / "policy" if (folder / "policy").is_dir() else folder
    try:
        return pretrained(repair, str(folder) if folder.is_dir() else None, max_prompt_tokens=max_prompt_tokens)
    except ValueError as error:
        raise ValueError(f"inference.repair={repair} does not load: {error}") from error


class UncertaintyCritic:
    """The policy's own doubt: a prefix is trusted most where the token that follows it was the least likely one, since
    whatever went wrong went wrong there. A whole program is trusted as its mean log-prob says.

    >>> from rltf.types import FinishReason
    >>> program = Program("p", "abc", (), (1, 2, 3), ((0, 1), (1, 2), (2, 3)), (-0.5, -0.25, -2.25), FinishReason.STOP)
    >>> Doubt()([program])
    [[0.25, 2.25, -1.0]]
    """

    def start(self, device: Any) -> None:
        """Nothing to do."""

    def __call__(self, programs: Sequence[Program]) -> list[list[float]]:
        """One number for each drawn token."""
        return [[*(-logprob for logprob in p.logprobs[1:]), fmean(p.logprobs)] if p.logprobs else [] for p in programs]
