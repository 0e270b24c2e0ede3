"""`rltf COMMAND ...`: the commands of the project under one name. `train.py`, `eval.py` and the `-m` forms are the same
code. Light: what a command needs is imported when it is chosen."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import NoReturn

from rltf import __version__
from rltf.validation import unknown_key

COMMANDS: Mapping[str, str] = {
    "train": "trains a policy, e.g. rltf train reward=fine+adaptive; --help lists every key",
    "eval": "pass@k of a policy: rltf eval policy=RUN benchmark=mini",
    "export": "writes the policy of a run's checkpoint, also of a run that was stopped: rltf export RUN [--best]",
    "push": "sends the policy of a run with its model card to the Hugging Face hub: rltf push RUN OWNER/NAME --dry-run",
    "report": "a page of a run, of several, or of a sweep: rltf report PATH...",
    "judge": "judges JSON lines of programs and tests: rltf judge < programs.jsonl",
    "serve": "the same over HTTP: rltf serve --port 8080",
}
HYDRA_COMMANDS = ("train", "eval")
"""Commands whose options are keys of the config."""


def main() -> NoReturn:
    """Runs the command that the process's arguments name, and ends the process with its exit code."""
    arguments = sys.argv[1:]
    if any(flag in arguments[:1] for flag in ("-sc", "--shell-completion")):
        arguments = _complete(arguments)
    name = arguments[0] if arguments else "--help"
    if name in ("-h", "--help"):
        width = max(map(len, COMMANDS))
        print("usage: rltf COMMAND ...\n", *(f"  {key:{width}}  {text}" for key, text in COMMANDS.items()), sep="\n")
        sys.exit(0 if arguments else 2)
    if name == "--version":
        print(f"rltf {__version__}")
        sys.exit(0)
    if name not in COMMANDS:
        print(f"error: {unknown_key(name, COMMANDS)}", file=sys.stderr)
        sys.exit(2)
    sys.exit(_run(name, arguments[1:]))


def _run(name: str, arguments: list[str]) -> int:
    """Exit code of a command."""
    if name in HYDRA_COMMANDS:
        from rltf.commands.cli import command

        sys.argv[1:] = arguments
        command(name, prefix=[name])
        return 0
    if name == "export":
        from rltf.commands.export import main as export

        return export(arguments)
    if name == "push":
        from rltf.commands.push import main as push

        return push(arguments)
    if name == "report":
        from rltf.report.__main__ import main as report

        return report(arguments, prog="rltf report")
    if name == "serve":
        from rltf.service.command import main as serve

        return serve(arguments)
    from rltf.execution.__main__ import main as judge

    try:
        return judge(arguments, prog="rltf judge")
    except (BrokenPipeError, KeyboardInterrupt):
        return 130


def _complete(arguments: list[str]) -> list[str]:
    """Arguments of the command that a shell completes, whose line is taken over by Hydra without its name; a line
    without a command is completed here."""
    line = os.environ.get("COMP_LINE", "")
    words, end = line.split()[1:], " " * line.endswith(" ")
    if not any(argument.startswith("query=") for argument in arguments):
        return ["train", *arguments]  # to install it: the script is the same for all commands
    if words and words[0] in HYDRA_COMMANDS and (len(words) > 1 or end):
        os.environ["COMP_LINE"] = " ".join(["rltf", *words[1:]]) + end
        return [words[0], *arguments]
    if len(words) < 2:
        print(*(name for name in COMMANDS if name.startswith("".join(words))))
    sys.exit(0)


if __name__ == "__main__":
    main()
