"""`job=mine`: functions of any code become problems with unit tests, without anybody's tests (arXiv 2310.13669).

Nothing of the source runs outside the sandbox. Rows keep where each function is from: they inherit its licence."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rltf.execution import LocalExecutor
from rltf.execution.values.codec import encode
from rltf.mining.functions import Function, Limits, distinct, functions_of
from rltf.mining.miner import MinedFunction, Miner, MiningLimits
from rltf.mining.sources import programs
from rltf.rollouts.pipeline import RolloutPipeline
from rltf.types import Sampling
from rltf.validation import OptionError, require

MINED_FILE = "mined.jsonl"
_CHUNK = 64
"""Functions that are mined at a time."""
IMPORTS = (
    *("math", "re", "itertools", "collections", "functools", "operator", "string", "bisect", "heapq", "statistics"),
    *("fractions", "typing"),
)


class Mine:
    """Writes `mined.jsonl`, one problem a line, for `benchmark=mined`.

    Args:
        source: folders that are walked for `*.py`, Python files, JSON lines or lists (plain or .gz) of programs.
        field: of the rows, which holds code or a list of programs; None: the first known one.
        inputs: ordinary inputs drawn for a function; a quarter as many edge inputs.
        tests: largest number of tests of a problem, and smallest number of inputs with a short answer.
        docstring: `wanted`; `needed`: functions without one are left out; `ignored`: prompts show none.
        max_lines: of a function.
        parameters: largest number of a function's parameters.
        imports: modules that a function may use.
        mutants: of a function, at most.
        kill_share: smallest share of the mutants which some input kills that the tests kill.
        timeout: seconds a call.
        hash_seed: of the second pool; that of the first is `executor.hash_seed`.
        limit: largest number of functions that are mined; None: all.

    Raises:
        OptionError: an option makes no sense.
    """

    def __init__(
        self,
        source: str | Sequence[str],
        field: str | None = None,
        inputs: int = 40,
        tests: int = 6,
        docstring: str = "wanted",
        max_lines: int = 40,
        parameters: int = 4,
        imports: Sequence[str] = IMPORTS,
        mutants: int = 24,
        kill_share: float = 0.5,
        timeout: float = 0.5,
        hash_seed: int = 1,
        limit: int | None = None,
    ) -> None:
        for key, value, least in (
            *(("tests", tests, 2), ("inputs", inputs, 2), ("max_lines", max_lines, 1), ("parameters", parameters, 1)),
            *(("mutants", mutants, 0), ("hash_seed", hash_seed, 0)),
        ):
            require(key, value, at_least=least, whole=True)
        require("limit", limit, at_least=1, whole=True, optional=True)
        require("kill_share", kill_share, at_least=0, at_most=1)
        require("timeout", timeout, above=0)
        require("docstring", docstring, choices=("wanted", "needed", "ignored"))
        if inputs < tests:
            raise OptionError("inputs", inputs, f"at least tests, which is {tests}")
        if isinstance(imports, str):
            raise OptionError("imports", imports, "a list of modules, e.g. [math,re]")
        self._sources = [source] if isinstance(source, str) else [str(entry) for entry in source]
        if not self._sources:
            raise OptionError("source", [], "a folder or file of code, or a list of them")
        self._field = field
        self._readable = Limits(tuple(imports), max_lines, parameters, docstring)
        self._limits = MiningLimits(inputs, tests, mutants, kill_share, timeout)
        self._hash_seed, self._limit = hash_seed, limit

    def __call__(self, pipeline: RolloutPipeline, sampling: Sampling, seed: int, folder: Path) -> dict[str, Any]:
        """Mines, and writes the file; policy and benchmark of the pipeline are not used.

        Returns:
            Totals: `functions` that were looked at, `distinct` ones that can be mined, `mined`, `tests` and `killed`
            of `mutants` of those; `left_out`: reason -> functions.

        Raises:
            ValueError: none could be mined.
        """
        left_out: Counter[str] = Counter()
        candidates = list(self._read(left_out))
        functions = distinct(candidates)
        left_out["has the structure of another"] += len(candidates) - len(functions)
        total = len(candidates) + sum(left_out.values()) - left_out["has the structure of another"]
        functions = functions[: self._limit]
        mined: list[MinedFunction] = []
        executor = LocalExecutor(hash_seed=self._hash_seed, max_timeouts=1)
        with executor, (folder / MINED_FILE).open("w", encoding="utf-8") as file:
            miner = Miner(pipeline.executor, executor, self._limits, seed)
            for start in range(0, len(functions), _CHUNK):
                for result in miner.mine(functions[start : start + _CHUNK]):
                    if isinstance(result, str):
                        left_out[result] += 1
                    else:
                        mined.append(result)
                        file.write(json.dumps(row_of(result)) + "\n")
        left_out = +left_out
        if not mined:
            reasons = (
                ", ".join(f"{reason} ({count})" for reason, count in left_out.most_common(3)) or "there is no code"
            )
            raise ValueError(f"job.source: none of {total} functions and files can be mined; most often: {reasons}")
        return {
            "functions": total,
            "distinct": len(functions),
            "mined": len(mined),
            "tests": sum(len(result.tests) for result in mined),
            "mutants": sum(result.mutants for result in mined),
            "killed": sum(result.killed for result in mined),
            "left_out": dict(left_out.most_common()),
        }

    def _read(self, left_out: Counter[str]) -> Iterator[Function]:
        for program in programs(self._sources, self._field):
            if isinstance(program, str):
                left_out[program] += 1
                continue
            for function in functions_of(*program, self._readable):
                if isinstance(function, str):
                    left_out[function] += 1
                else:
                    yield function


def row_of(mined: MinedFunction) -> dict[str, Any]:
    """A problem as `mined.jsonl` has it: values of tests are tagged (`rltf.execution.values.codec`)."""
    function = mined.function
    structure = function.structure
    tests = [
        {"function": test.function, "args": [encode(a) for a in test.args], "expected": encode(test.expected)}
        | ({} if test.tolerance is None else {"tolerance": test.tolerance})
        for test in mined.tests
    ]
    return {
        "id": f"mined/{structure[:16]}",
        "name": function.name,
        "header": function.header,
        "docstring": function.docstring,
        "code": function.code,
        "setup": function.setup,
        "tests": tests,
        "types": list(map(str, mined.types)),
        "mutants": mined.mutants,
        "killed": mined.killed,
        "structure": structure,
        "source": function.source,
    }
