"""`Infinitum`: test items without end (after "Generating Unseen Code Tests In Infinitum", arXiv 2407.19772).

The paper makes benchmark variations that cannot have leaked into training data, with the abstract syntax tree between
task and code; its first instance, auto-regression, asks for Python from English, for debugging models and for comparing
versions of one.

Deviations, most of them where its text is silent:
1. The grammar, its constructs, sizes and English are ours; the paper's are not published.
2. An item tests one construct at a time (`isolate`), so that a failure names it; `isolate=false` mixes them.
3. An item is a function of (seed, split, index), and the split of a program's structure does not depend on the seed: no
   test item has the structure of a training item, whatever the seeds.
4. Tests are chosen against mutants: every program with one statement or operation left out, or one condition fixed,
   fails one of them, distractors apart.
5. Two versions of a model are compared item by item with McNemar's exact test (`python -m rltf.report A B --flips`).
6. Of other languages there is JavaScript alone, written from the same tree of Python (`javascript.py`): an item asks
   for the same and has the same tests in both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import count, islice
from random import Random
from typing import Any, get_args

from rltf.benchmarks.base import Benchmark
from rltf.benchmarks.infinitum.cases import Cases, choose_cases
from rltf.benchmarks.infinitum.constructs import CONSTRUCTS
from rltf.benchmarks.infinitum.english import VARIANTS
from rltf.benchmarks.infinitum.formats import FORMATS_OF
from rltf.benchmarks.infinitum.javascript import LARGEST, to_javascript
from rltf.benchmarks.infinitum.program import Draft, Source, canonical
from rltf.benchmarks.infinitum.running import largest_number
from rltf.benchmarks.mini.skeleton import split_of
from rltf.execution.languages import require_language
from rltf.types import CallTest, Extraction, Job, Problem, Prompt, Split, Test
from rltf.validation import OptionError, nearest, require

_SIZES: Mapping[Split, int] = {"train": 2000, "validation": 100, "test": 300}
_STATEMENTS: Mapping[int, float] = {1: 1.0, 2: 1.0, 4: 1.0}
_ATTEMPTS = 100
"""Functions begun without a new item after which the generator gives up."""
_TRIES, _TRIES_LAST = 20, 60
"""Draws of a statement before the function is begun anew; the last one must also lead to the split."""


class Infinitum(Benchmark):
    """Generated functions with English that asks for them, one language construct under test at a time.

    Args:
        seed: changes every item; the split of a program structure does not depend on it.
        sizes: items per split, each of `paraphrases` problems; a longer split starts with those of a shorter one.
        constructs: name of a construct -> relative frequency, 0 for those that it does not name; None: all alike.
        isolate: True: all statements of an item are of one construct; False: each is drawn anew.
        statements: number of statements of an item, 1 to 8 -> relative frequency; None: 1, 2 and 4 alike.
        depth: operations of the largest expression inside a construct; each item's limit is drawn from 1 to this.
        distractors: assignments in each item whose result nothing uses.
        paraphrases: wordings of each item, 1 to 3, with the same tests; each is a problem.
        language: of the programs: `python` or `javascript`.
        prompt: `plain`, or `doc`, `chat` or `paper` (see `rltf.benchmarks.prompts`).
        tests_per_problem: tests, at least 3.
        examples_per_problem: tests that a solver may run, the first ones; the others are hidden.

    Example:
        >>> problem = Infinitum(seed=3, constructs={"loop": 1}, sizes={"test": 1}).problems("test")[0]
        >>> problem.tags[0], " for " in problem.references[0]
        ('loop', True)
    """

    name = "infinitum"

    def __init__(
        self,
        seed: int = 0,
        sizes: Mapping[Split, int] = _SIZES,
        constructs: Mapping[str, float] | None = None,
        isolate: bool = True,
        statements: Mapping[int, float] | None = None,
        depth: int = 2,
        distractors: int = 0,
        paraphrases: int = 1,
        language: str = "python",
        prompt: str = "plain",
        tests_per_problem: int = 6,
        examples_per_problem: int = 2,
    ) -> None:
        constructs = dict.fromkeys(CONSTRUCTS, 1.0) if constructs is None else constructs
        statements = _STATEMENTS if statements is None else statements
        _check_choice("language", language, tuple(FORMATS_OF))
        require_language(Job("", (), language=language))
        formats = FORMATS_OF[language]
        _check_choice("prompt", prompt, tuple(formats))
        _check_table("sizes", sizes, get_args(Split))
        _check_table("constructs", constructs, tuple(CONSTRUCTS))
        _check_weights("constructs", constructs)
        for number, weight in statements.items():
            require("statements", number, at_least=1, at_most=8, whole=True)
            require(f"statements.{number}", weight, at_least=0)
        _check_weights("statements", statements)
        require("isolate", isolate, choices=(True, False))
        require("depth", depth, at_least=1, at_most=4, whole=True)
        require("distractors", distractors, at_least=0, at_most=4, whole=True)
        require("paraphrases", paraphrases, at_least=1, at_most=VARIANTS, whole=True)
        require("tests_per_problem", tests_per_problem, at_least=3, at_most=20, whole=True)
        if not 0 <= examples_per_problem < tests_per_problem:
            expected = f"a whole number of at least 0, below tests_per_problem, which is {tests_per_problem}"
            raise OptionError("examples_per_problem", examples_per_problem, expected)
        self._seed, self._sizes = seed, dict(sizes)
        self._constructs = {name: constructs.get(name, 0.0) for name in CONSTRUCTS}
        self._statements = {number: statements[number] for number in sorted(statements)}
        self._isolate, self._depth, self._distractors = isolate, depth, distractors
        self._paraphrases, self._tests, self._examples = paraphrases, tests_per_problem, examples_per_problem
        self._language, self._format = language, formats[prompt]
        self._problems: dict[Split, tuple[Problem, ...]] = {}

    def problems(self, split: Split) -> Sequence[Problem]:
        """Problems of a split, the wordings of an item one after the other; generated at the first call."""
        if split not in self._problems:
            count = self._sizes.get(split, 0) * self._paraphrases
            self._problems[split] = tuple(islice(self.stream(split), count))
        return self._problems[split]

    def stream(self, split: Split) -> Iterator[Problem]:
        """Endless problems of a split; no two items differ in names alone."""
        trees: set[str] = set()
        for index in count():
            rng = Random(f"{self._seed}/{split}/{index}")
            [statements] = rng.choices(list(self._statements), list(self._statements.values()))
            names, weights = list(self._constructs), list(self._constructs.values())
            constructs = (
                rng.choices(names, weights) * statements if self._isolate else rng.choices(names, weights, k=statements)
            )
            depth = rng.randint(1, self._depth)
            draws = (self._draw(rng, split, constructs, depth, trees) for _ in range(_ATTEMPTS))
            item = next((d for d in draws if d is not None), None)
            if item is None:
                kind = f"{statements} x {constructs[0]}" if self._isolate else " + ".join(constructs)
                raise ValueError(
                    f"benchmark.sizes.{split} is {self._sizes.get(split)}: there are {index} different items here, and "
                    f"no further one of {kind} in {_ATTEMPTS} draws; expected fewer, or more benchmark.constructs, "
                    "benchmark.statements or benchmark.depth"
                )
            yield from self._worded(split, index, *item)

    def prompt(self, problem: Problem) -> Prompt:
        """The problem's prompt in the format `benchmark.prompt`."""
        return self._format.prompt(problem)

    def extract(self, problem: Problem, text: str) -> Extraction:
        """Position of the program in an answer."""
        return self._format.extract(problem, text)

    def answer(self, problem: Problem, program: str) -> str:
        """The answer from which `extract` gets `program`.

        Raises:
            ValueError: the prompt format has no place for the program.
        """
        return self._format.answer(problem, program)

    def examples(self, problem: Problem) -> tuple[Test, ...]:
        """The first tests; the formats other than `plain` show three."""
        return problem.tests[: self._examples]

    def _draw(
        self, rng: Random, split: Split, constructs: Sequence[str], depth: int, trees: set[str]
    ) -> tuple[Source, tuple[Test, ...]] | None:
        """An item that is in the split and differs from those in `trees`; None where the draw led to none."""
        draft = Draft.begin(rng, depth)
        places = [rng.randrange(len(constructs)) for _ in range(self._distractors)]
        for i, construct in enumerate(constructs):
            last = i == len(constructs) - 1
            for _ in range(_TRIES_LAST if last else _TRIES):
                longer = draft.extended(construct, places.count(i))
                if longer is None:
                    return None
                source = longer.source()
                code = source.code()
                structure, tree = (canonical(code, constants) for constants in (False, True))
                if last and (split_of(structure) != split or tree in trees):
                    continue
                cases = choose_cases(rng, code, source, self._tests)
                if cases is not None and not (last and self._is_too_large(code, source.name, cases)):
                    break
            else:
                return None
            draft = longer
        assert cases is not None
        trees.add(tree)
        rng.shuffle(cases)
        return source, tuple(CallTest(source.name, inputs, result) for inputs, result in cases)

    def _is_too_large(self, code: str, name: str, cases: Cases) -> bool:
        """True for a program whose numbers its language does not have."""
        return self._language == "javascript" and largest_number(code, name, [i for i, _ in cases]) > LARGEST

    def _worded(self, split: Split, index: int, source: Source, tests: tuple[Test, ...]) -> Iterator[Problem]:
        stem = f"{self._seed}/{split}/{index}"
        wordings = source.wordings(Random(f"{stem}/english"), self._paraphrases, self._language)
        code = source.code() if self._language == "python" else to_javascript(source.code())
        for i, statement in enumerate(wordings):
            yield Problem(
                id=f"infinitum/{stem}/{i}",
                statement=statement,
                tests=tests,
                entry_point=source.name,
                difficulty=_band(source.size),
                references=(code,),
                tags=(*source.constructs, f"size:{source.size}", f"depth:{source.depth}", f"paraphrase:{i}"),
                language=self._language,
            )


def _band(size: int) -> str:
    return "short" if size == 1 else "medium" if size <= 3 else "long"


def _check_choice(key: str, value: Any, names: Sequence[str]) -> None:
    if value not in names:
        suggestions = nearest(str(value), names, 1)
        raise OptionError(
            key, value, f"{' or '.join(names)}{f' (did you mean {suggestions[0]}?)' if suggestions else ''}"
        )


def _check_table(key: str, table: Mapping[Any, float], names: Sequence[str]) -> None:
    for name, value in table.items():
        if name not in names:
            suggestions = nearest(str(name), names, 1)
            hint = f" (did you mean {suggestions[0]}?)" if suggestions else ""
            raise OptionError(f"{key}.{name}", value, f"only the names {', '.join(names)}{hint}")
        require(f"{key}.{name}", value, at_least=0)


def _check_weights(key: str, table: Mapping[Any, float]) -> None:
    if not any(table.values()):
        raise OptionError(key, dict(table), "a frequency above 0 of at least one of them")
