"""One sandbox for all searches."""

import pytest
from scripted_search import Watched


@pytest.fixture(scope="session")
def sandbox():
    executor = Watched()
    yield executor
    executor.close()


@pytest.fixture
def executor(sandbox):
    sandbox.jobs.clear()
    return sandbox
