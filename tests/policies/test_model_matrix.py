"""docs/models.md says what was measured, of every family of the script that measures."""

from __future__ import annotations

from pathlib import Path

import pytest
from families import MATRIX
from model_matrix import PAGE, TABLE, measure

PAGE_ROWS = {
    line.split("`")[1]: line for line in TABLE.search(PAGE.read_text("utf-8"))[0].splitlines() if line.startswith("| `")
}


def test_the_page_has_every_family_of_the_script_and_no_other():
    assert sorted(PAGE_ROWS) == sorted(MATRIX)


@pytest.mark.parametrize("name", MATRIX)
def test_a_row_of_the_page_is_served_or_refused_in_one_sentence(name: str):
    _, model, generation, greedy, *gaps, last, _ = (cell.strip() for cell in PAGE_ROWS[name].split(" |"))
    assert MATRIX[name][0].startswith(model)
    if generation == "refused":
        assert "expected" in last
        return
    assert generation in ("native", "hf")
    assert (greedy, last) == ("yes", "yes")
    assert all(float(gap) <= 1e-4 for gap in gaps)


@pytest.mark.slow
@pytest.mark.parametrize("name", MATRIX)
def test_a_family_is_as_the_page_says(name: str, tmp_path: Path):
    row = measure(name, tmp_path)
    assert row.faults() == []
    columns = PAGE_ROWS[name].split(" | ")
    assert columns[2] == row.generation
    assert row.sentence in PAGE_ROWS[name]
