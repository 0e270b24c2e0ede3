"""The commands of a page as its reader's shell reads them: a shell executes the page's blocks, and stand-ins for the
programs write down what they were given."""

from __future__ import annotations

import re
import shlex
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pages import ROOT, code_blocks

COMMAND_PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "examples").rglob("*.md"),
        *(ROOT / ".github").rglob("*.md"),
    ]
)
PROGRAMS = ("python", "rltf", "make", "pip", "sbatch", "torchrun", "curl", "docker", ".venv/bin/pre-commit")
"""Programs that a page may start. Any other one ends the shell: nobody has said how its command is tested."""
STAND_IN = """#!/bin/bash
{ printf '%s\\0' $(($# + 2)) "$NAME" "$@"; } >> "$TYPED"
"""
ELSEWHERE = {"docs/results/credit.md": "docs/results/proof.md"}
"""Page -> the page on which it says that its variables are set."""


@dataclass(frozen=True)
class Typed:
    """One command of a page."""

    page: Path
    words: tuple[str, ...]
    """Program and arguments, after the shell."""

    @property
    def text(self) -> str:
        """As one line."""
        return shlex.join(self.words)

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}: {self.text[:70]}"


@cache
def typed_commands(page: Path) -> tuple[Typed, ...]:
    """The commands of a page's shell blocks, in order; loops give one for each turn.

    Raises:
        AssertionError: the shell ended with an error, such as a program without a stand-in or a variable without value.
    """
    script = "\n".join(code_blocks(page, "bash", "sh", "shell", "console"))
    if not script.strip():
        return ()
    if other := ELSEWHERE.get(str(page.relative_to(ROOT))):
        assigned = re.findall(r"^([A-Z]+='[^']*')", "\n".join(code_blocks(ROOT / other, "bash")), re.MULTILINE)
        script = "\n".join([*assigned, script])
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "bin").mkdir()
        for name in PROGRAMS:
            file = folder / (name if "/" in name else f"bin/{name}")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(STAND_IN.replace("$NAME", name))
            file.chmod(0o755)
        (folder / ".venv" / "bin" / "activate").write_text("")
        (folder / "programs.jsonl").write_text("")
        typed = folder / "typed"
        typed.write_text("")
        done = subprocess.run(
            ["/bin/bash", "--noprofile", "--norc", "-eu", "-o", "pipefail", "-c", script],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            env={"PATH": str(folder / "bin"), "HOME": "/home/me", "TYPED": str(typed), "RUN": "RUN"},
        )
        assert done.returncode == 0, f"{page.relative_to(ROOT)}: {done.stderr}"
        words = typed.read_text("utf-8").split("\0")[:-1]
    commands = []
    while words:
        count = int(words[0])
        commands.append(Typed(page, (words[1], *words[2:count])))
        del words[:count]
    return tuple(commands)
