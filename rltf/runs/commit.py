"""The commit of the code that runs: of a checkout, or of a package that pip installed from a repository."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path


def code_commit(package: str = "rltf") -> str | None:
    """The commit of the package's code, changes that were not committed apart; None where nothing says it.

    Git's own files are read, so neither git nor another process is needed.
    """
    return commit_of_checkout(Path(__file__).parents[2]) or _commit_of_package(package)


def commit_of_checkout(root: Path) -> str | None:
    """The commit that is checked out in a folder, also in a worktree; None where it is no checkout."""
    git = root / ".git"
    try:
        if git.is_file():
            git = (root / git.read_text().partition("gitdir:")[2].strip()).resolve()
        head = (git / "HEAD").read_text().strip()
        if not head.startswith("ref: "):
            return head
        reference = head.removeprefix("ref: ")
        common = git / "commondir"
        shared = (git / common.read_text().strip()).resolve() if common.is_file() else git
        for folder in (git, shared):
            if (folder / reference).is_file():
                return (folder / reference).read_text().strip()
        for line in (shared / "packed-refs").read_text().splitlines():
            commit, _, name = line.partition(" ")
            if name == reference:
                return commit
    except OSError:
        return None
    return None


def _commit_of_package(package: str) -> str | None:
    try:
        text = distribution(package).read_text("direct_url.json")
    except PackageNotFoundError:
        return None
    commit = json.loads(text or "{}").get("vcs_info", {}).get("commit_id")
    return None if commit is None else str(commit)
