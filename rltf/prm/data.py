"""`job=prm_data`: labels the lines of the policy's own programs automatically (arXiv 2410.17621).

A prefix of a program is good when at least one of K completions that the policy draws passes all tests. The last good
prefix is found by binary search; its lines are labelled +1, the lines after it -1. All lines of a program that passes
are +1, without a search. Only lines of code are labelled (`rltf.prm.lines`)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from statistics import fmean
from typing import Any

from rltf.prm.bisect import count_good_lines
from rltf.prm.lines import Step, program_steps
from rltf.rollouts.pipeline import RolloutPipeline
from rltf.types import Outcome, Problem, Program, Request, Sampling, Verdict
from rltf.validation import require

JudgedProgram = tuple[Problem, Program, Verdict]


class PrmData:
    """Draws programs and labels their lines.

    Args:
        problems: number of training problems; None: all.
        samples: programs per problem; of equal texts one is labelled.
        completions: K, completions drawn of each prefix that is tested.
        chunk: problems per call of the sampler.

    Raises:
        OptionError: a number is below 1.
    """

    def __init__(self, problems: int | None = 500, samples: int = 4, completions: int = 20, chunk: int = 64) -> None:
        require("problems", problems, at_least=1, whole=True, optional=True)
        require("samples", samples, at_least=1, whole=True)
        require("completions", completions, at_least=1, whole=True)
        require("chunk", chunk, at_least=1, whole=True)
        self._problems, self._samples, self._completions, self._chunk = problems, samples, completions, chunk

    def __call__(self, pipeline: RolloutPipeline, sampling: Sampling, seed: int, folder: Path) -> dict[str, Any]:
        """Writes `prm_data.jsonl`, one program per line: `problem_id`, `prompt_ids`, `token_ids`, `answer` (their
        text), `ends` (tokens up to the end of each line of code), `labels` of these lines, `outcome`, and `asked`
        (prefixes tested).

        Returns:
            Totals: `programs`, `lines`, `good_share` of lines, `asked` prefixes and `completions`.
        """
        problems = list(pipeline.benchmark.problems("train"))[: self._problems]
        programs, tested_prefixes, good_lines = 0, 0, []
        with (folder / "prm_data.jsonl").open("w", encoding="utf-8") as file:
            for start in range(0, len(problems), self._chunk):
                chunk = problems[start : start + self._chunk]
                pending = pipeline.start_rollouts(chunk, range(self._samples), sampling, seed)
                groups = pipeline.collect_verdicts(pending)
                judged = [triple for group in groups for triple in _distinct_programs(group.judgeable().triples())]
                for record in self.label_lines(pipeline, judged, sampling, seed):
                    file.write(json.dumps(record) + "\n")
                    programs += 1
                    tested_prefixes += record["asked"]
                    good_lines += [label > 0 for label in record["labels"]]
        return {
            "programs": programs,
            "lines": len(good_lines),
            "good_share": round(fmean(good_lines), 6) if good_lines else None,
            "asked": tested_prefixes,
            "completions": tested_prefixes * self._completions,
        }

    def label_lines(
        self, pipeline: RolloutPipeline, judged: Sequence[JudgedProgram], sampling: Sampling, seed: int
    ) -> list[dict[str, Any]]:
        """A record of `prm_data.jsonl` for each program with lines of code. Each round of the binary search is one call
        of the sampler for all programs."""
        with_steps = [(triple, steps) for triple in judged if (steps := program_steps(triple[1]))]
        failed = [i for i, ((_, _, verdict), _) in enumerate(with_steps) if verdict.outcome is not Outcome.PASSED]

        def can_complete(prefixes: Sequence[tuple[int, int]]) -> list[bool]:
            token_prefixes = []
            for i, lines in prefixes:
                (problem, program, _), steps = with_steps[failed[i]]
                token_prefixes.append((problem, program, steps[lines - 1].end))
            return self._can_complete(pipeline, token_prefixes, sampling, seed)

        good_lines = count_good_lines([len(with_steps[i][1]) for i in failed], can_complete)
        search_results = dict(zip(failed, good_lines, strict=True))
        records = []
        for i, ((problem, program, verdict), steps) in enumerate(with_steps):
            good, tested_prefixes = search_results.get(i, (len(steps), 0))
            records.append(_record(pipeline, problem, program, verdict, steps, good, tested_prefixes))
        return records

    def _can_complete(
        self,
        pipeline: RolloutPipeline,
        prefixes: Sequence[tuple[Problem, Program, int]],
        sampling: Sampling,
        seed: int,
    ) -> list[bool]:
        """Whether one of K completions of each prefix passes. All are drawn in one call, and judged while it lasts.

        Args:
            pipeline: draws and judges.
            prefixes: problem, program, and number of the program's tokens that the prefix has.
            sampling: distribution of the completions.
            seed: of the random streams.
        """
        draws = tuple(range(self._samples, self._samples + self._completions))
        requests = [
            Request(
                problem.id,
                program.prompt_ids,
                draws,
                prefix_ids=program.prefix_ids + program.token_ids[:end],
                stop=pipeline.benchmark.prompt(problem).stop,
            )
            for problem, program, end in prefixes
        ]
        problems = [problem for problem, _, _ in prefixes]
        verdicts: list[list[Future[Verdict]]] = [[] for _ in prefixes]
        for index, completion in pipeline.draw_programs(problems, requests, sampling, seed):
            verdicts[index].append(pipeline.judge(problems[index], completion))
        with pipeline.clock("execution_wait"):
            return [any(v.result().outcome is Outcome.PASSED for v in of_prefix) for of_prefix in verdicts]


def _distinct_programs(judged: Sequence[JudgedProgram]) -> list[JudgedProgram]:
    return list({program.text: (problem, program, verdict) for problem, program, verdict in judged}.values())


def _record(
    pipeline: RolloutPipeline,
    problem: Problem,
    program: Program,
    verdict: Verdict,
    steps: Sequence[Step],
    good: int,
    tested_prefixes: int,
) -> dict[str, Any]:
    return {
        "problem_id": problem.id,
        "prompt_ids": program.prompt_ids,
        "token_ids": program.token_ids,
        "answer": pipeline.policy.decode(program.token_ids)[0],
        "ends": [step.end for step in steps],
        "labels": [1.0] * good + [-1.0] * (len(steps) - good),
        "outcome": str(verdict.outcome),
        "asked": tested_prefixes,
    }
