"""Fixtures of the policies."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from policy_kinds import POLICIES

from rltf.policies.pretrained import TransformersPolicy


@pytest.fixture(params=POLICIES)
def policy(request: pytest.FixtureRequest) -> TransformersPolicy:
    """One of each family, fresh."""
    return POLICIES[request.param]()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    folder = Path(os.environ.get("RLTF_SHARED_DATA", Path(__file__).parents[2] / ".." / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("RLTF_SHARED_DATA names no folder of real tokenizers and problems")
    return folder
