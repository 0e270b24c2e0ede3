"""A benchmark of two functions, and programs of it."""

from __future__ import annotations

from rltf.types import CallTest, FinishReason, Outcome, Problem, Program, Prompt, Rollout, Verdict

PASSED = Verdict(Outcome.PASSED, 1, 1)
RIGHT = "def f(x):\n    return x + 1"


class Benchmark:
    """Problems whose reference adds 1, and one without a reference."""

    name = "cases"

    def __init__(self, references=((RIGHT,), ())):
        tests = (CallTest("f", (1,), 2),)
        self.train = [
            Problem(f"p{i}", f"Add {i}.", tests, entry_point="f", references=tuple(of_problem))
            for i, of_problem in enumerate(references)
        ]

    def problems(self, split):
        return self.train if split == "train" else []

    def prompt(self, problem):
        return Prompt("Task: ", problem.statement, "\n")

    def answer(self, problem, program):
        return program


def program_of(text, problem_id="p0", draw=0, finish=FinishReason.EOS, greedy=False):
    """A program of as many tokens as characters, and the end."""
    offsets = (*((i, i + 1) for i in range(len(text))), (len(text), len(text)))
    return Program(
        problem_id,
        text,
        (5, 6),
        tuple(range(10, 10 + len(offsets))),
        offsets,
        (-1.0,) * len(offsets),
        finish,
        draw=draw,
        greedy=greedy,
    )


def rollouts_of(term, problem, texts):
    """Programs of a problem, credited by a term as the pipeline does."""
    programs = [program_of(text, problem.id, draw) for draw, text in enumerate(texts)]
    credits = term.credit_batch([(problem, program, PASSED) for program in programs])
    return [
        Rollout(program, PASSED, tuple(of_program), of_program[0].value)
        for program, of_program in zip(programs, credits, strict=True)
    ]
