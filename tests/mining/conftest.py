"""Two pools whose hash seeds differ, as mining has them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rltf.execution import LocalExecutor
from rltf.mining.functions import Function, Limits, functions_of
from rltf.mining.job import IMPORTS
from rltf.mining.miner import Miner, MiningLimits


@pytest.fixture(scope="session")
def pools() -> Iterator[tuple[LocalExecutor, LocalExecutor]]:
    with (
        LocalExecutor(workers=2, timeout=2.0) as first,
        LocalExecutor(workers=2, timeout=2.0, hash_seed=1, max_timeouts=1) as second,
    ):
        yield first, second


@pytest.fixture
def mine(pools):
    """What becomes of the functions of a text: name -> mined function, or reason."""

    def run(text: str, tests: int = 6, pools=pools, **limits):
        functions = list(functions_of(text, "a.py", Limits(IMPORTS, 40, 4, "wanted")))
        assert all(isinstance(function, Function) for function in functions), functions
        values = {"inputs": 40, "mutants": 12, "kill_share": 0.5, "timeout": 0.5} | limits
        results = Miner(*pools, MiningLimits(tests=tests, **values), seed=0).mine(functions)
        return {function.name: result for function, result in zip(functions, results, strict=True)}

    return run
