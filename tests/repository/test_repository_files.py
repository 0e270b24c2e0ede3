"""The files that hosts, hooks and package tools read are of the forms that these know, and agree with the code."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from rltf import __version__

ROOT = Path(__file__).parents[2]
GITHUB = ROOT / ".github"
FORMS = {
    "github-workflows": [GITHUB / "workflows" / "ci.yml"],
    "dependabot": [GITHUB / "dependabot.yml"],
    "github-issue-config": [GITHUB / "ISSUE_TEMPLATE" / "config.yml"],
    "github-issue-forms": sorted(
        set((GITHUB / "ISSUE_TEMPLATE").glob("*.yml")) - {GITHUB / "ISSUE_TEMPLATE/config.yml"}
    ),
    "citation-file-format": [ROOT / "CITATION.cff"],
}


def command(*arguments):
    return subprocess.run([sys.executable, "-m", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)


def pins(name):
    lines = (ROOT / name).read_text("utf-8").splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {re.sub("[-_.]+", "-", package.lower()): version for package, version in pairs}


@pytest.mark.parametrize("form", FORMS)
def test_a_file_has_the_form_that_its_reader_knows(form):
    pytest.importorskip("check_jsonschema")
    assert FORMS[form]
    done = command("check_jsonschema", "--builtin-schema", f"vendor.{form}", *map(str, FORMS[form]))
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_workflow_with_a_mistyped_key_has_not(tmp_path):
    pytest.importorskip("check_jsonschema")
    wrong = tmp_path / "ci.yml"
    wrong.write_text(FORMS["github-workflows"][0].read_text("utf-8").replace("runs-on:", "run-on:"), "utf-8")
    assert command("check_jsonschema", "--builtin-schema", "vendor.github-workflows", str(wrong)).returncode == 1


def test_commands_of_the_workflow_are_targets_of_the_makefile():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    used = set(re.findall(r"make ([a-z-]+)", (GITHUB / "workflows" / "ci.yml").read_text("utf-8")))
    assert used == {"lint", "install", "test", "docs"}
    assert used <= targets


def test_the_workflow_tests_every_python_that_the_package_names():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    named = {c.rpartition(" ")[2] for c in project["classifiers"] if re.search(r":: 3\.\d+$", c)}
    workflow = yaml.safe_load((GITHUB / "workflows" / "ci.yml").read_text("utf-8"))
    tested = {row["python"] for row in workflow["jobs"]["tests"]["strategy"]["matrix"]["include"]}
    assert tested == named == {"3.11", "3.12", "3.13"}


def test_actions_are_pinned_to_a_commit_so_that_nobody_can_move_them():
    uses = re.findall(r"uses: (\S+)", (GITHUB / "workflows" / "ci.yml").read_text("utf-8"))
    assert uses
    assert all(re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", use) for use in uses)


def test_hooks_are_local_and_start_tools_of_the_environment():
    pytest.importorskip("pre_commit")
    done = command("pre_commit", "validate-config")
    assert done.returncode == 0, done.stdout + done.stderr
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))
    [repository] = config["repos"]
    assert repository["repo"] == "local"
    assert {hook["entry"].split()[0].rpartition("/")[0] for hook in repository["hooks"]} == {".venv/bin"}


def test_one_version_is_named_everywhere():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert (citation["version"], newest[1]) == (__version__, __version__)


def test_the_lock_has_the_versions_that_were_chosen_by_hand():
    chosen, locked = pins("constraints.txt"), pins("constraints-lock.txt")
    outside_the_install = {"gguf"}  # of the extra `smollm2`
    assert {name: locked.get(name) for name in chosen if name not in outside_the_install} == {
        name: version for name, version in chosen.items() if name not in outside_the_install
    }


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="the lock is that of Python 3.11")
def test_the_lock_has_every_package_that_an_install_brings():
    done = subprocess.run([sys.executable, ".ci/lock.py"], cwd=ROOT, capture_output=True, text=True, check=False)
    if "run make install first" in done.stderr:
        pytest.skip(done.stderr)
    needed = {line.partition("==")[0] for line in done.stdout.splitlines() if not line.startswith("#")}
    assert needed == set(pins("constraints-lock.txt"))


def test_type_checkers_read_the_types_of_the_package():
    assert (ROOT / "rltf" / "py.typed").read_text() == ""
