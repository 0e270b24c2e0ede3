"""One service for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from served import Served, served


@pytest.fixture(scope="session")
def service() -> Iterator[Served]:
    with served("--timeout", "1") as running:
        yield running
