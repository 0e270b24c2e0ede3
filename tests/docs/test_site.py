"""The documentation site has every page, group and package; a whole build has no warning and no dead link."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml
from pages import ROOT

pytest.importorskip("mkdocs", reason="needs the extra `docs`")
sys.path.insert(0, str(ROOT / "docs"))
import site_docstrings
import site_hooks


class AnyTag(yaml.SafeLoader):
    """Reads mkdocs.yml without calling what its tags name."""


AnyTag.add_multi_constructor("tag:yaml.org,2002:python/", lambda loader, suffix, node: suffix)


def targets(nav):
    for entry in nav:
        ((_, target),) = entry.items()
        yield from targets(target) if isinstance(target, list) else [target]


@pytest.fixture(scope="module")
def nav():
    config = yaml.load((ROOT / "mkdocs.yml").read_text("utf-8"), AnyTag)
    parts = {"Configs": site_hooks.configs_nav(), "API": site_hooks.api_nav()}
    return list(targets(site_hooks._filled(config["nav"], parts)))


def test_every_page_of_docs_is_in_the_navigation_once(nav):
    pages = {str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md")}
    assert len(nav) == len(set(nav))
    assert pages <= set(nav)
    made = {*site_hooks.reference_pages(), *site_hooks.config_pages(), *site_hooks.TOP_PAGES.values()}
    assert set(nav) == pages | made


def test_a_page_that_is_written_elsewhere_has_its_place_and_is_left_out_until_it_is_there():
    [entry] = site_hooks._filled([{"Judge": "use-the-judge.md"}, {"Start": "start.md"}], {})[-1:]
    assert entry == {"Start": "start.md"}
    assert set(site_hooks.MAY_BE_ABSENT) <= set(
        targets(yaml.load((ROOT / "mkdocs.yml").read_text("utf-8"), AnyTag)["nav"])
    )


def test_every_choice_of_every_group_is_on_the_page_of_its_group():
    pages = site_hooks.config_pages()
    for file in (ROOT / "configs").glob("*/*.yaml"):
        page = pages[f"reference/configs/{file.parent.name}.md"]
        assert file.stem in page
        assert file.read_text("utf-8").rstrip() in page


def test_every_module_is_in_the_reference():
    text = "\n".join(site_hooks.reference_pages().values())
    modules = {".".join(f.relative_to(ROOT).with_suffix("").parts) for f in (ROOT / "rltf").rglob("[!_]*.py")}
    assert modules == set(re.findall(r"^::: (rltf[\w.]*)$", text, re.MULTILINE)) - set(site_hooks.packages())


@pytest.mark.parametrize(
    ("place", "uri", "target", "there"),
    [
        ("docs/credit.md", "credit.md", "../rltf/rewards/fine.py", "reference/api/rltf.rewards.md#rltf.rewards.fine"),
        ("docs/results/gpu.md", "results/gpu.md", "../../configs/reward/fine.yaml", "../reference/configs/reward.md"),
        ("docs/credit.md", "credit.md", "../README.md#results", "index.md#results"),
        ("README.md", "index.md", "docs/results/gpu.md", "results/gpu.md"),
        ("docs/credit.md", "credit.md", "#top", "#top"),
        ("docs/credit.md", "credit.md", "https://arxiv.org/abs/2307.04349", "https://arxiv.org/abs/2307.04349"),
    ],
)
def test_a_link_leads_to_its_page_on_the_site(place, uri, target, there):
    assert site_hooks.site_link("x", target, place, uri) == f"[x]({there})"


def test_a_link_to_a_file_without_a_page_is_its_text():
    assert site_hooks.site_link("the test", "../tests/test_walls.py", "docs/credit.md", "credit.md") == "the test"


def test_docstrings_become_sections():
    assert site_docstrings.readable("Args:\n    a, b: numbers.\n\n>>> 1 + 1\n2") == (
        "Args:\n    a: numbers.\n    b: numbers.\n\nExamples:\n    >>> 1 + 1\n    2"
    )
    assert site_docstrings.readable("A.\n\nExample:\n    >>> 1\n    1") == "A.\n\nExamples:\n    >>> 1\n    1"


@pytest.mark.slow
def test_the_site_builds_without_a_warning_and_every_link_in_it_leads_somewhere(tmp_path):
    site = tmp_path / "site"
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(site)],
        cwd=ROOT, capture_output=True, text=True, check=False,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    pages = {page: page.read_text("utf-8") for page in site.rglob("*.html") if page.name != "404.html"}
    anchors = {page: set(re.findall(r'\bid="([^"]+)"', text)) for page, text in pages.items()}
    for page, text in pages.items():
        for attribute, link in re.findall(r'\b(href|src)="([^"]*)"', re.sub(r"(?s)<pre.*?</pre>", "", text)):
            if re.match(r"[a-z]+:", link):
                assert attribute == "href", f"{page.name} loads {link}"
                continue
            path, _, anchor = unquote(link).partition("#")
            file = Path(os.path.normpath(page.parent / path)) if path else page
            assert file.exists() or path in (".", "./"), f"{page.name}: {link}"
            if anchor and file in anchors and not anchor.startswith("__"):
                assert anchor in anchors[file], f"{page.name}: {link}"
    index = (site / "search" / "search_index.json").read_text("utf-8")
    assert "reward=coarse+fine+adaptive" in index
