"""`inference=critic_sampling`: a second round of programs that starts from the first one (CodeRL, arXiv 2207.01780,
section 3.4; its code was never released).

1. N programs are drawn and judged by the example tests of the problem.
2. Refine: where some pass, the second round continues prefixes of these, each up to the token that a critic trusts
   most. N programs are shared out among the prefixes.
3. Repair: where none passes, a repair model reads the failed programs that the critic trusts most, their errors and the
   task, and writes N programs.
4. Where none passes and there is no repair model, or the problem has no example tests, there is no second round.

Deviations:
1. A prefix leaves out at least the program's last token with text, so that the second round can differ.
2. Of programs of equal text one is refined.
3. There is one second round, as in the paper's main results.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from typing_extensions import override

from rltf.inference.repair import Failure, repair_prompt
from rltf.inference.search import Candidate, DrawRequest, Search, Task
from rltf.policies.base import Policy
from rltf.policies.load import pretrained
from rltf.rollouts.interfaces import PrefixCritic
from rltf.rollouts.pipeline import RolloutPipeline
from rltf.runs.files import POLICY_FOLDER
from rltf.types import Problem, Program, Sampling
from rltf.validation import require

IndexedRequest = tuple[int, DrawRequest]
"""Index of a task, and programs to draw for it."""


class CriticSampling(Search):
    """Draws programs, then refines or repairs them.

    Args:
        pipeline: draws and judges programs.
        critic: trust in prefixes; None: the pipeline's critic if it is one of outcomes, else `UncertaintyCritic`.
        repair: folder or hub id of the repair model (`benchmark=repair` trains one); None: no repair.
        failed: failed programs per problem that are repaired.
        max_prompt_tokens: longest prompt of the repair model.

    Raises:
        OptionError: a number is out of range.
        ValueError: the repair model does not load.
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
        require("failed", failed, at_least=1, whole=True)
        require("max_prompt_tokens", max_prompt_tokens, at_least=1, whole=True)
        outcome_critic = pipeline.critic if callable(pipeline.critic) else None  # critics of values are not callable
        self._critic: PrefixCritic = critic or outcome_critic or UncertaintyCritic()
        self._critic_started = False
        self._repairs_per_problem = failed
        self._repair_model = None if repair is None else _load_repair_model(repair, max_prompt_tokens)

    @override
    def search(
        self, tasks: Sequence[Task], draws: Sequence[int], sampling: Sampling, seed: int
    ) -> list[list[Candidate]]:
        self._start_critic()
        first_requests = [DrawRequest(task, tuple(draws), task.prompt_ids) for task in tasks]
        candidates = self.draw_candidates(first_requests, sampling, seed, "drawn")
        second_draws = [draw + max(draws) + 1 for draw in range(len(draws))]  # new random streams
        refining = self._refine_requests(tasks, candidates, second_draws, self._critic)
        repairing = self._repair_requests(tasks, candidates, second_draws)
        refined = self.draw_candidates([request for _, request in refining], sampling, seed, "refined")
        for (index, _), second_candidates in zip(refining, refined, strict=True):
            candidates[index] = candidates[index] + second_candidates
        if self._repair_model is not None and repairing:
            self._repair_model.to(self._pipeline.policy.model.device)
            requests = [request for _, request in repairing]
            repaired = self.draw_candidates(requests, sampling, seed, "repaired", self._repair_model)
            for (index, _), second_candidates in zip(repairing, repaired, strict=True):
                candidates[index] = candidates[index] + second_candidates
        return candidates

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
        """Training programs in two rounds (`MultiRoundSampler`): the second half of a problem's programs continue
        trusted prefixes of the first half; where none of the first half passes the examples, they have no prefix.
        Tokens of a prefix carry no loss.

        The repair model takes no part: its programs answer other prompts than the policy's.
        """
        run_critic = self._pipeline.critic if self._critic is self._pipeline.critic else None
        if run_critic is None:  # else the run starts it
            self._start_critic()
        critic = self._critic if run_critic is None or run_critic.has_learned else UncertaintyCritic()
        tasks = [self._task(problem) for problem in problems]
        if greedy:
            yield from self._draw_greedy(problems, tasks, sampling, seed, policy, version)
        second_draws = draws[len(draws) - len(draws) // 2 :]
        first_draws = tuple(draws[: len(draws) - len(second_draws)])
        first_requests = [DrawRequest(task, first_draws, task.prompt_ids) for task in tasks]
        first_round = self.draw_candidates(first_requests, sampling, seed, "drawn", policy, version)
        requests = self._refine_requests(tasks, first_round, second_draws, critic)
        refined = {index for index, _ in requests}
        for index, task in enumerate(tasks):
            if index not in refined:
                requests.append((index, DrawRequest(task, tuple(second_draws), task.prompt_ids)))
        second_round = self.draw_candidates([r for _, r in requests], sampling, seed, "refined", policy, version)
        second_indices = (index for index, _ in requests)
        for index, candidates in [*enumerate(first_round), *zip(second_indices, second_round, strict=True)]:
            yield from ((index, candidate.program) for candidate in candidates)

    def _start_critic(self) -> None:
        if not self._critic_started:
            self._critic.start(self._pipeline.policy.model.device)
            self._critic_started = True

    def _refine_requests(
        self,
        tasks: Sequence[Task],
        candidates: Sequence[Sequence[Candidate]],
        draws: Sequence[int],
        critic: PrefixCritic,
    ) -> list[IndexedRequest]:
        """Requests that continue the trusted prefixes of candidates that pass the examples."""
        passing = [
            (index, candidate)
            for index, task_candidates in enumerate(candidates)
            for candidate in _best_candidates(task_candidates, len(draws))
            if candidate.passes_examples
        ]
        shares = _share_draws([index for index, _ in passing], draws)
        trust = critic([candidate.program for _, candidate in passing]) if passing else []
        requests = []
        for (index, candidate), share, token_trust in zip(passing, shares, trust, strict=True):
            program, task = candidate.program, tasks[index]
            length = trusted_prefix_length(program, token_trust)
            request = DrawRequest(task, share, task.prompt_ids, program.token_ids[:length], program.logprobs[:length])
            requests.append((index, request))
        return requests

    def _repair_requests(
        self, tasks: Sequence[Task], candidates: Sequence[Sequence[Candidate]], draws: Sequence[int]
    ) -> list[IndexedRequest]:
        """Requests to the repair model, for the tasks none of whose candidates passes the examples."""
        if self._repair_model is None:
            return []
        failed = [
            (index, candidate)
            for index, task_candidates in enumerate(candidates)
            if not any(candidate.passes_examples for candidate in task_candidates)
            for candidate in _best_candidates(task_candidates, len(task_candidates))
            if candidate.examples is not None and candidate.program.token_ids
        ]
        trust = self._critic([candidate.program for _, candidate in failed]) if failed else []
        by_task: dict[int, list[tuple[float, Candidate]]] = {}
        for (index, candidate), token_trust in zip(failed, trust, strict=True):
            by_task.setdefault(index, []).append((token_trust[-1], candidate))
        most = min(self._repairs_per_problem, len(draws))
        repairing = [
            (index, candidate)
            for index, task_candidates in by_task.items()
            for _, candidate in sorted(task_candidates, key=lambda pair: -pair[0])[:most]
        ]
        shares = _share_draws([index for index, _ in repairing], draws)
        return [
            (
                index,
                DrawRequest(tasks[index], share, self._repair_ids(self._repair_model, tasks[index], candidate), turn=1),
            )
            for (index, candidate), share in zip(repairing, shares, strict=True)
        ]

    def _repair_ids(self, repair_model: Policy, task: Task, candidate: Candidate) -> tuple[int, ...]:
        """Token ids of the repair model's prompt."""
        assert candidate.examples is not None
        prompt = self._pipeline.benchmark.prompt(task.problem)
        failure = Failure.from_verdict(candidate.program.text, candidate.examples)
        return repair_model.encode_prompt(repair_prompt(prompt, failure))


def trusted_prefix_length(program: Program, trust: Sequence[float]) -> int:
    """Tokens of the program up to and with the most trusted one, the last of equals. Never with the last token that has
    text; 0 where that is the first one.

    Args:
        program: with offsets.
        trust: one number for each token.
    """
    last = max((t for t, (start, end) in enumerate(program.offsets) if start < end), default=0)
    return max(range(last), key=lambda t: (trust[t], t)) + 1 if last else 0


def _best_candidates(candidates: Sequence[Candidate], most: int) -> list[Candidate]:
    """At most so many candidates of different text: those that pass the examples first, then by mean log-prob."""
    by_text: dict[str, Candidate] = {}
    for candidate in sorted(candidates, key=lambda c: (not c.passes_examples, -c.logprob)):
        by_text.setdefault(candidate.program.text, candidate)
    return list(by_text.values())[:most]


def _share_draws(task_indices: Sequence[int], draws: Sequence[int]) -> list[tuple[int, ...]]:
    """Draw indices of each request: those of a task are dealt to its requests in turn.

    Args:
        task_indices: task of each request.
        draws: draw indices of each task.

    Example:
        >>> _share_draws([7, 7, 9], [10, 11, 12])
        [(10, 12), (11,), (10, 11, 12)]
    """
    positions = [task_indices[:i].count(task) for i, task in enumerate(task_indices)]
    return [
        tuple(draws[position :: task_indices.count(task)])
        for task, position in zip(task_indices, positions, strict=True)
    ]


def _load_repair_model(repair: str, max_prompt_tokens: int) -> Policy:
    folder = Path(repair)
    folder = folder / POLICY_FOLDER if (folder / POLICY_FOLDER).is_dir() else folder
    try:
        return pretrained(repair, str(folder) if folder.is_dir() else None, max_prompt_tokens=max_prompt_tokens)
    except ValueError as error:
        raise ValueError(f"inference.repair={repair} does not load: {error}") from error


class UncertaintyCritic:
    """Trust from the policy's own uncertainty (a `PrefixCritic`): a prefix is trusted most where the token after it was
    the least likely one, since an error probably began there. The trust in a whole program is its mean log-prob.

    >>> from rltf.types import FinishReason
    >>> program = Program("p", "abc", (), (1, 2, 3), ((0, 1), (1, 2), (2, 3)), (-0.5, -0.25, -2.25), FinishReason.STOP)
    >>> UncertaintyCritic()([program])
    [[0.25, 2.25, -1.0]]
    """

    def start(self, device: Any) -> None:
        """Does nothing: there is no network."""

    def __call__(self, programs: Sequence[Program]) -> list[list[float]]:
        """One number for each drawn token of each program."""
        return [[*(-logprob for logprob in p.logprobs[1:]), fmean(p.logprobs)] if p.logprobs else [] for p in programs]
