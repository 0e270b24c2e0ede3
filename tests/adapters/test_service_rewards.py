"""The same rewards, asked of a service."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "service"))

from served import served
from test_hosts import LADDER, TESTS, TEXTS

from rltf.adapters.trl import TRLReward
from rltf.adapters.verl import compute_score_batch


def test_a_service_pays_what_this_machine_pays() -> None:
    with served() as running:
        assert TRLReward("coarse", url=running.url)(["p"] * 4, TEXTS, tests=[TESTS] * 4) == LADDER
        rows = compute_score_batch(["d"] * 4, TEXTS, [TESTS] * 4, [None] * 4, url=running.url)
        assert [row["score"] for row in rows] == LADDER
