"""Programs as the contrast reads them: tokens, and where lines of code end."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from rltf.benchmarks.base import Benchmark
from rltf.contrast.augment import mask_tokens, rename_locals, shift_tokens
from rltf.contrast.options import ContrastOptions
from rltf.policies.base import Policy
from rltf.prm.lines import program_steps
from rltf.rollouts.offsets import program_offsets
from rltf.types import FinishReason, Program

MOST_OF_A_PROBLEM = 4
"""Programs of one problem in a batch: what they have in common tells nothing of them apart."""

MOST_ENCODINGS = 20_000
"""Programs that are kept encoded."""


@dataclass(frozen=True, slots=True)
class EncodedProgram:
    """A program as tokens, with the ends of its lines of code."""

    problem_id: str
    text: str
    prompt_ids: tuple[int, ...]
    token_ids: tuple[int, ...]
    ends: tuple[int, ...]
    """Tokens of the answer up to the end of each line of code, rising."""
    line_breaks: frozenset[int]
    """Positions of tokens with a line end in them, and of the last one of each line of code."""


class ProgramReader:
    """Reads programs, and augments them. The encoding of a text is kept.

    Args:
        policy: encodes them.
        benchmark: whose problems they answer.
        options: `prompt` and the augmentations.
    """

    def __init__(self, policy: Policy, benchmark: Benchmark, options: ContrastOptions) -> None:
        self.policy, self._benchmark, self._options = policy, benchmark, options
        self._problems = {problem.id: problem for problem in benchmark.problems("train")}
        unknown = policy.tokenizer.unk_token_id
        self._unknown: int = policy.eos_id if unknown is None else unknown
        self._encodings: dict[tuple[str, str], EncodedProgram | None] = {}

    def read(self, problem_id: str, text: str) -> EncodedProgram | None:
        """The program as the policy would have written it; None where there is no anchor in it: fewer than k + 1 lines
        of code, no training problem of the benchmark, no answer in the prompt's format, or the tokenizer changes it."""
        key = problem_id, text
        if key not in self._encodings:
            if len(self._encodings) == MOST_ENCODINGS:
                self._encodings.clear()
            program = self._encoded(problem_id, text)
            self._encodings[key] = program if program is not None and len(program.ends) > self._options.k else None
        return self._encodings[key]

    def augmented(self, program: EncodedProgram, draw: Random) -> EncodedProgram:
        """The program with other names, behind a window of tokens, and with unknown tokens in it; as many lines of code
        as before."""
        if draw.random() < self._options.rename:
            text = rename_locals(program.text, self._problems[program.problem_id].entry_point, draw)
            renamed = self._encoded(program.problem_id, text) if text != program.text else None
            if renamed is not None and len(renamed.ends) == len(program.ends):
                program = renamed
        tokens = shift_tokens(program.token_ids, min(program.line_breaks), self._options.shift, draw)
        tokens = mask_tokens(tokens, program.line_breaks, self._unknown, self._options.mask, draw)
        return EncodedProgram(
            program.problem_id, program.text, program.prompt_ids, tokens, program.ends, program.line_breaks
        )

    def _encoded(self, problem_id: str, text: str) -> EncodedProgram | None:
        problem = self._problems.get(problem_id)
        if problem is None:
            return None
        try:
            answer = self._benchmark.answer(problem, text)
        except ValueError:
            return None
        token_ids = self.policy.encode_answer(answer)
        decoded, spans = self.policy.decode(token_ids)
        if decoded != answer:
            return None
        prompt_ids: tuple[int, ...] = (self.policy.eos_id,)
        if self._options.prompt:
            prompt_ids = self.policy.encode_prompt(self._benchmark.prompt(problem))
        extraction = self._benchmark.extract(problem, answer)
        offsets = program_offsets(extraction, spans, answer)
        logprobs = (0.0,) * len(token_ids)
        whole = extraction.program(answer)
        program = Program(problem_id, whole, prompt_ids, token_ids, offsets, logprobs, FinishReason.EOS)
        with warnings.catch_warnings(action="ignore"):  # of the compiler, about somebody's program
            ends = tuple(step.end for step in program_steps(program))
        break_tokens = {t for t, (start, end) in enumerate(spans) if "\n" in answer[start:end]}
        return EncodedProgram(
            problem_id, text, prompt_ids, token_ids, ends, frozenset(break_tokens | {end - 1 for end in ends})
        )


def draw_batch(groups: Sequence[Sequence[EncodedProgram]], rows: int, draw: Random) -> list[EncodedProgram]:
    """Programs of a batch: of each of several problems a few, so that an anchor's negatives are also of its problem.

    Args:
        groups: different programs by problem.
        rows: most programs.
        draw: chooses problems and programs.
    """
    batch: list[EncodedProgram] = []
    for group in draw.sample(groups, len(groups)):
        batch += draw.sample(group, min(len(group), MOST_OF_A_PROBLEM, rows - len(batch)))
        if len(batch) == rows:
            break
    return batch
