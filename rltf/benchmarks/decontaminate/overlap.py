"""Which training problems share runs of words, or a solution, with problems of an evaluation set."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from rltf.benchmarks.asserts import parse
from rltf.types import Problem
from rltf.validation import require

_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class Overlap:
    """A training problem and the evaluation problem that it repeats most of."""

    train_id: str
    eval_id: str
    share: float
    """Share of the evaluation problem's runs of words that the training problem has, 0 to 1."""
    same_solution: bool
    """Whether both have a reference program in common, but for names, comments and layout."""


def words(text: str) -> list[str]:
    """The words of a text in lower case: letters and digits, `is_prime` as two.

    >>> words("Is_prime(7) -> True")
    ['is', 'prime', '7', 'true']
    """
    return _WORD.findall(text.lower())


def task_text(problem: Problem) -> str:
    """The statement without the tests that it shows as asserts."""
    lines = problem.statement.split("\n")
    return "\n".join(line for line in lines if not line.lstrip().startswith("assert"))


def word_runs(text: str, n: int) -> frozenset[tuple[str, ...]]:
    """All runs of `n` words; of a shorter text all of its words as one run.

    >>> sorted(word_runs("a b c", 2)), sorted(word_runs("A b", 3))
    ([('a', 'b'), ('b', 'c')], [('a', 'b')])
    """
    text_words = words(text)
    if len(text_words) <= n:
        return frozenset([tuple(text_words)] if text_words else [])
    return frozenset(tuple(text_words[start : start + n]) for start in range(len(text_words) - n + 1))


def overlaps(train: Iterable[Problem], evaluation: Sequence[Problem], n: int, share: float) -> Iterator[Overlap]:
    """The training problems that have at least `share` of the word runs of an evaluation problem's statement, or one
    of its solutions, in the order of the training set. A run that a tenth of the evaluation problems have in common
    (a frame such as `Your code should`) counts for none of them.

    Args:
        train: problems of the training set.
        evaluation: problems of the evaluation set.
        n: words in a run.
        share: smallest share of the runs of an evaluation problem, above 0 and at most 1.

    Raises:
        OptionError: `n` or `share` makes no sense.
    """
    require("n", n, at_least=2, whole=True)
    require("share", share, above=0, at_most=1)
    runs = {problem.id: word_runs(task_text(problem), n) for problem in evaluation}
    frequency = Counter(run for of_problem in runs.values() for run in of_problem)
    common = {run for run, count in frequency.items() if count > max(2, len(runs) // 10)}
    runs = {name: of_problem - common for name, of_problem in runs.items()}
    holders: dict[tuple[str, ...], list[str]] = {}
    for name, of_problem in runs.items():
        for run in of_problem:
            holders.setdefault(run, []).append(name)
    solutions = {form: problem.id for problem in evaluation for form in _forms(problem)}
    for problem in train:
        yield from _overlap(problem, runs, holders, solutions, n, share)


def _overlap(
    problem: Problem,
    runs: Mapping[str, frozenset[tuple[str, ...]]],
    holders: Mapping[tuple[str, ...], Sequence[str]],
    solutions: Mapping[str, str],
    n: int,
    share: float,
) -> Iterator[Overlap]:
    text = task_text(problem)
    text_runs = word_runs(text, n)
    if len(words(text)) > n:  # texts shorter than a run are compared as a whole
        text_runs |= _short_runs(text, n, holders)
    shared = Counter(name for run in text_runs for name in holders.get(run, ()))
    shares = {name: count / len(runs[name]) for name, count in shared.items()}
    twin = next((solutions[form] for form in _forms(problem) if form in solutions), None)
    best = max(sorted(shares), key=shares.__getitem__, default=None)
    if best is not None and shares[best] >= share:
        yield Overlap(problem.id, best, shares[best], twin is not None)
    elif twin is not None:
        yield Overlap(problem.id, twin, shares.get(twin, 0.0), True)


def _short_runs(text: str, n: int, holders: Mapping[tuple[str, ...], Sequence[str]]) -> frozenset[tuple[str, ...]]:
    """The runs of fewer than `n` words of a text that are whole evaluation problems."""
    text_words = words(text)
    lengths = {len(run) for run in holders if len(run) < n}
    candidates = (
        tuple(text_words[start : start + length]) for length in lengths for start in range(len(text_words) - length + 1)
    )
    return frozenset(run for run in candidates if run in holders)


def _forms(problem: Problem) -> Iterator[str]:
    """The reference programs of at least three statements, without names, comments and layout: shorter ones are alike
    by chance."""
    for reference in problem.references:
        try:
            tree = parse(reference)
        except SyntaxError:
            continue
        if sum(isinstance(node, ast.stmt) for node in ast.walk(tree)) > 3:
            yield _form(tree)


def _form(tree: ast.Module) -> str:
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
        for field in ("id", "arg", "name"):
            value = getattr(node, field, None)
            if isinstance(value, str):
                setattr(node, field, names.setdefault(value, f"n{len(names)}"))
    return ast.dump(tree, annotate_fields=False)
