"""Pages of the documentation site that are made when it is built (`make docs`), and links that lead out of docs/.

Pages in docs/ are readable where they lie, so they link to sources. On the site a link to a Python file leads to the
API reference, one to a yaml to the page of its group, one to README.md to the start page, and one to anything else is
its text.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
TOP_PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "CODE_OF_CONDUCT.md": "code_of_conduct.md",
}
"""Pages beside docs/ -> their names on the site."""
MAY_BE_ABSENT = ("use-the-judge.md", "results/feedback.md", "results/log.md")
"""Pages of the navigation that are written elsewhere: left out while they are not there."""
LINK = re.compile(r"(?<!!)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
FENCE = re.compile(r"(^```.*?^```)", re.DOTALL | re.MULTILINE)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Fills the navigation with what is made from code and configs."""
    parts = {"Configs": configs_nav(), "API": api_nav()}
    config.nav = _filled(config.nav or [], parts)
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages that are made from code, configs and the files beside docs/."""
    pages = {**reference_pages(), **config_pages()}
    pages |= {name: (ROOT / source).read_text(encoding="utf-8") for source, name in TOP_PAGES.items()}
    for uri, content in pages.items():
        files.append(File.generated(config, uri, content=content))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links of a page as the site has them; comments apart from tables."""
    uri = page.file.src_uri
    place = next((source for source, name in TOP_PAGES.items() if name == uri), f"docs/{uri}")
    parts = FENCE.split(markdown)
    for i in range(0, len(parts), 2):
        text = re.sub(r"(?m)^(<!-- (?:generated: \w+|end) -->)$", "", parts[i])
        text = re.sub(r"(!\[[^\]]*\]\()docs/", r"\1", text) if place in TOP_PAGES else text
        parts[i] = LINK.sub(lambda match: site_link(match[1], match[2], place, uri), text)
    return "".join(parts)


def site_link(text: str, target: str, place: str, uri: str) -> str:
    """A Markdown link of the file `place` (relative to the checkout) as the page `uri` of the site has it."""
    path, _, anchor = target.partition("#")
    if not path or re.match(r"[a-z]+:", path):
        return f"[{text}]({target})"
    file = posixpath.normpath(posixpath.join(posixpath.dirname(place), path))
    page, of_code = site_page(file)
    if page is None:
        return text
    anchor = of_code or anchor
    return f"[{text}]({posixpath.relpath(page, posixpath.dirname(uri) or '.')}{'#' + anchor if anchor else ''})"


def site_page(file: str) -> tuple[str | None, str]:
    """The page of a file of the checkout, and the anchor of its own there; None: it has no page."""
    if file in TOP_PAGES:
        return TOP_PAGES[file], ""
    if file.startswith("docs/"):
        return file.removeprefix("docs/"), ""
    parts = Path(file).parts
    if parts[0] == "configs" and len(parts) > 1:
        return (f"reference/configs/{parts[1].removesuffix('.yaml')}.md", "")
    if parts[0] == "rltf" and (ROOT / file).exists() and (file.endswith(".py") or (ROOT / file).is_dir()):
        dotted = file.removesuffix("/__init__.py").removesuffix(".py").replace("/", ".")
        return reference_page(dotted), dotted
    return None, ""


def config_pages() -> dict[str, str]:
    """Page -> Markdown of each config group: every choice, as its yaml says it."""
    pages = {}
    for command in ("train", "eval"):
        text = (ROOT / "configs" / f"{command}.yaml").read_text(encoding="utf-8")
        pages[f"reference/configs/{command}.md"] = (
            f"# `{command}.yaml`\n\nWhat `python {command}.py` composes; any key is set on the command line, "
            f"`{'warmup.steps=100' if command == 'train' else 'evaluation.samples=20'}`.\n\n```yaml\n{text}```\n"
        )
    for group in config_groups():
        files = sorted((ROOT / "configs" / group).glob("*.yaml"))
        prefix = {"sweep": f"-m +{group}="}.get(group, f"{group}=")
        choices = "".join(_choice(prefix, file) for file in files)
        pages[f"reference/configs/{group}.md"] = f"# `{group}`\n\n{choices}"
    return pages


def _choice(prefix: str, file: Path) -> str:
    """A choice of a group as a section; one that begins with `_` is used by others alone."""
    title = f"part `{file.stem}`" if file.stem.startswith("_") else f"`{prefix}{file.stem}`"
    return f"## {title}\n\n```yaml\n{file.read_text(encoding='utf-8').rstrip()}\n```\n\n"


def config_groups() -> list[str]:
    """Folders of configs/ with a choice."""
    return sorted(folder.name for folder in (ROOT / "configs").iterdir() if any(folder.glob("*.yaml")))


def configs_nav() -> list[dict[str, str]]:
    """Navigation of the config pages."""
    return [{name: f"reference/configs/{name}.md"} for name in ("train", "eval", *config_groups())]


def reference_pages() -> dict[str, str]:
    """Page -> Markdown of the API reference: a page a package, with the modules that lie in it."""
    pages = {}
    for package in packages():
        folder = ROOT / package.replace(".", "/")
        modules = sorted(f"{package}.{file.stem}" for file in folder.glob("*.py") if not file.stem.startswith("__"))
        blocks = [f"::: {package}\n    options: {{members: false, heading_level: 1}}\n"]
        blocks += [f"::: {module}\n" for module in modules]
        pages[reference_page(package)] = "\n".join(blocks)
    return pages


def reference_page(dotted: str) -> str:
    """The page of a module or package."""
    while not (ROOT / dotted.replace(".", "/")).is_dir():
        dotted = dotted.rpartition(".")[0]
    return f"reference/api/{dotted}.md"


def packages() -> list[str]:
    """Dotted names of all packages of rltf, the outermost first."""
    folders = sorted(file.parent.relative_to(ROOT) for file in (ROOT / "rltf").rglob("__init__.py"))
    return [".".join(folder.parts) for folder in folders]


def api_nav() -> list[dict[str, Any]]:
    """Navigation of the API reference: rooms, and packages within them below."""
    return [{package: reference_page(package)} for package in packages()]


def _filled(nav: list[Any], parts: dict[str, list[Any]]) -> list[Any]:
    """The navigation with its made parts, and without pages that are not there."""
    entries: list[Any] = []
    for entry in nav:
        ((title, target),) = entry.items()
        if title in parts:
            entries.append({title: parts[title]})
        elif isinstance(target, list):
            entries.append({title: _filled(target, parts)})
        elif target not in MAY_BE_ABSENT or (ROOT / "docs" / target).is_file():
            entries.append(entry)
    return entries
