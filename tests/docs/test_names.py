"""Names in the docs exist: modules, files, links and keys. Commands have their own tests (`test_page_commands.py`)."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest
from omegaconf import OmegaConf
from pages import CODE, HISTORY, PAGES, ROOT

CURRENT = [page for page in PAGES if page != HISTORY]
LINKED = [*PAGES, *sorted((ROOT / "docs" / "results").glob("*.md"))]
FOLDERS = r"(?:rltf|configs|tests|docs|examples)"


def page_id(page: Path) -> str:
    return str(page.relative_to(ROOT))


def exists(dotted: str) -> bool:
    """Whether a dotted name is a module or an attribute of one."""
    parts = dotted.split(".")
    for count in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:count]))
        except ModuleNotFoundError:
            continue
        for name in parts[count:]:
            annotated = name in getattr(found, "__annotations__", {})
            if not hasattr(found, name):
                return annotated
            found = getattr(found, name)
        return True
    return False


@pytest.mark.parametrize("page", LINKED, ids=page_id)
def test_dotted_names_are_those_of_code(page):
    names = set(re.findall(r"(?<![\w./-])(rltf(?:\.\w+)+)(?![\w/])", page.read_text("utf-8")))
    names = {name for name in names if not name.endswith((".md", ".py"))}
    if page == HISTORY or page.name == "long-runs.md":
        names = set()
    assert [name for name in sorted(names) if not exists(name)] == []


@pytest.mark.parametrize("page", [*CURRENT, *LINKED[len(PAGES) :]], ids=page_id)
def test_paths_in_backticks_are_those_of_files(page):
    text = CODE.sub("", page.read_text("utf-8"))
    paths = set(re.findall(rf"`({FOLDERS}/[\w./+-]*)`", text))
    assert [path for path in sorted(paths) if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", LINKED, ids=page_id)
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\(([^)#\s]*)(#[^)\s]*)?\)", CODE.sub("", page.read_text("utf-8")))
    local = [(target, anchor) for target, anchor in links if not target.startswith(("http:", "https:"))]
    for target, anchor in local:
        file = (page.parent / target).resolve() if target else page
        assert file.exists(), target
        if anchor and file.suffix == ".md":
            titles = re.findall(r"^#+ (.*)$", CODE.sub("", file.read_text("utf-8")), re.MULTILINE)
            assert anchor[1:] in {anchor_of(title) for title in titles}, f"{target}{anchor}"


def anchor_of(title: str) -> str:
    """The anchor that GitHub makes of a heading."""
    return re.sub(r"[^\w\- ]", "", title.replace("`", "").lower()).replace(" ", "-")


def test_functions_of_the_architecture_lie_in_the_files_that_it_links():
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    links = re.findall(r"\[`([\w.]+)`\]\(\.\./(rltf/[\w/]+)\.py\)", text)
    assert len(links) > 20
    for name, file in links:
        assert exists(f"{file.replace('/', '.')}.{name}"), f"{name} in {file}.py"
    for file, names in re.findall(r"\[`(rltf/[\w/]+)\.py`\]\([^)]*\): ((?:`\w+`(?:, )?)+)", text):
        for name in re.findall(r"`(\w+)`", names):
            assert re.search(rf"(?:def|class) {name}\b", (ROOT / f"{file}.py").read_text("utf-8")), (
                f"{name} in {file}.py"
            )


SETTINGS = (
    ("algorithm=ppo", "critic=outcome", "credit=critic_token", "inference=critic_sampling", "job=prm_data"),
    (
        "algorithm=dapo",
        "curriculum=cccs",
        "benchmark=mbpp+apps",
        "credit=executed",
        "job=prm",
        "logger=[csv,wandb,mlflow]",
    ),
    ("benchmark=apps", "critic=value", "credit=gae", "job=critic"),
    ("credit=divergence", "curriculum=prefix"),
    ("benchmark=mined", "job=mine", "buffer=distinct"),
    ("benchmark=mbpp+mined",),
    ("curriculum=pool",),
    ("inference=repair",),
    ("algorithm=soft_q", "benchmark=infinitum"),
    ("benchmark=repair", "model=smollm2_135m", "credit=tests", "reward=grounding"),
    ("model=codet5p_2b", "inference=best_of_n"),
    ("generation=server",),
    ("generation=vllm",),
)
"""Choices that together have every key."""
NO_KEYS = ("html", "md", "json", "pt", "ckpt", "csv", "jsonl", "fit", "test", "excluded_ids")
"""What follows a dot in names of files and attributes that begin like a key."""


def test_keys_in_backticks_are_those_of_the_config(composed):
    configs = [OmegaConf.to_container(composed("train", *setting)) for setting in SETTINGS]
    roots = {root for config in configs for root in config}
    for page in CURRENT:
        text = CODE.sub("", page.read_text("utf-8")).partition("## Names of version 0.1")[0]
        for key in set(re.findall(r"`(\w+(?:\.\w+)+)(?:=[^`]*)?`", text)):
            root, _, last = key.partition(".")
            if root in roots and last not in NO_KEYS:
                assert any(has_key(config, key.split(".")) for config in configs), f"{page.name}: {key}"


def has_key(config, path):
    """Whether a key is in the config, or may be below one that is null."""
    if not path or config is None or path == ["_target_"]:
        return True
    return isinstance(config, dict) and path[0] in config and has_key(config[path[0]], path[1:])


def test_nothing_names_a_release_on_a_package_index():
    """`rltf` is on none, and a stranger could take the name."""
    files = [*PAGES, ROOT / "Makefile", *(ROOT / "rltf").rglob("*.py"), *(ROOT / "configs").rglob("*.yaml")]
    for file in files:
        assert not re.search(r"pip install[^`\n]*[ \"']rltf\b", file.read_text(encoding="utf-8")), file
