"""Tables of the docs that repeat the code are those that docs/generate.py makes of it."""

from __future__ import annotations

import ast
import re
import sys

import pytest
from pages import ROOT

sys.path.insert(0, str(ROOT / "docs"))
import generate

ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text("utf-8")


@pytest.mark.parametrize("page", generate.PAGES)
def test_a_page_has_the_tables_of_the_code(page):
    text = (ROOT / page).read_text("utf-8")
    assert generate.with_tables(text) == text, "run: python docs/generate.py"
    assert "<!-- generated: " in text


def test_every_room_is_described_once():
    folders = {path.name for path in (ROOT / "rltf").iterdir() if (path / "__init__.py").is_file()}
    assert set(generate.CONTENTS) == folders | {"types", "validation"}


def test_every_config_group_is_in_the_readme_or_in_the_architecture():
    for folder in (ROOT / "configs").iterdir():
        if folder.name != "paths" and any(folder.glob("*.yaml")):
            assert folder.name in generate.NOTES or f"`{folder.name}`" in ARCHITECTURE, folder.name


def test_every_folder_of_the_sandbox_has_its_process():
    folders = {path.name for path in (ROOT / "rltf" / "execution").iterdir() if (path / "__init__.py").is_file()}
    assert folders == set(re.findall(r"^\| `rltf/execution/(\w+)/` \|", ARCHITECTURE, re.MULTILINE))


def test_the_run_in_named_calls_is_the_function_train():
    tree = ast.parse((ROOT / "rltf" / "commands" / "train.py").read_text("utf-8"))
    [train] = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "train"]
    calls = [node for node in ast.walk(train) if isinstance(node, ast.Call)]
    calls.sort(key=lambda call: (call.lineno, call.col_offset))
    names = [ast.unparse(call.func) for call in calls]
    expected = [name for name in names if name not in ("PhaseClock", "CommandResult", "min")]
    section = ARCHITECTURE.partition("## A run in named calls")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `([\w.]+)` \|", section, re.MULTILINE) == expected
