"""The page on one problem prints what it says, and the notebook has its code."""

from __future__ import annotations

import json
import os
import re
import time

import pytest
from executed_pages import run_page
from pages import ROOT, code_blocks

PAGE = ROOT / "docs" / "one_problem.md"
NOTEBOOK = ROOT / "examples" / "first_run.ipynb"


def test_the_page_prints_what_it_says():
    pairs = run_page(PAGE)
    assert len(pairs) == 5
    for said, printed in pairs:
        assert said
        assert printed == said


def sources():
    cells = json.loads(NOTEBOOK.read_text("utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def test_the_notebook_has_the_code_of_the_page_and_no_output_of_somebodys_machine():
    cells = json.loads(NOTEBOOK.read_text("utf-8"))["cells"]
    assert [block.strip() for block in code_blocks(PAGE, "python")] == [
        source for source in sources() if source in PAGE.read_text("utf-8")
    ]
    assert all(not cell["outputs"] and cell["execution_count"] is None for cell in cells if "outputs" in cell)


@pytest.mark.slow
def test_the_notebook_runs_in_less_than_three_minutes_and_plots(monkeypatch, tmp_path):
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    before = time.process_time() + sum(os.times()[2:4])
    nbclient.NotebookClient(notebook, timeout=800, resources={"metadata": {"path": str(tmp_path)}}).execute()
    text = json.dumps(notebook.cells)
    assert "image/png" in text
    assert re.search(r"\d+ programs;", text)
    assert "runtime_error 2 of 3 IndexError in line 3" in text
    assert time.process_time() + sum(os.times()[2:4]) - before < 180  # seconds of processor time
