"""Empties a folder that a program has filled: with names of any bytes and folders of any depth and mode."""

from __future__ import annotations

import contextlib
import os

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
"""How a folder is opened that might be something else by now."""


def empty(folder: str, owner: int | None) -> None:
    """Deletes what is in a folder, however deep it was nested and whatever its names are.

    Walks down and up by single steps: no path grows long, nothing recurses, nothing is renamed.

    Args:
        folder: A folder in which no process is at work any more.
        owner: Leave the entries of other users; None: delete all.

    Raises:
        OSError: Something could not be deleted.
    """
    start = os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _enter(os.fsencode(folder))
        entries = [e.name for e in os.scandir(b".") if owner in (None, e.stat(follow_symlinks=False).st_uid)]
        levels, entered = [entries], list[tuple[bytes, os.stat_result]]()
        while entered or levels[0]:
            if levels[-1]:
                name = levels[-1].pop()
                if not _delete(name):
                    entered.append((name, os.stat(".")))
                    _enter(name)
                    levels.append(os.listdir(b"."))
            else:
                levels.pop()
                name, above = entered.pop()
                os.chdir("..")
                if not os.path.samestat(above, os.stat(".")):
                    raise OSError(f"{folder} is changed while it is emptied")
                os.rmdir(name)
    finally:
        os.fchdir(start)
        os.close(start)


def _delete(name: bytes) -> bool:
    """Deletes a file or an empty folder; False for a folder that is not empty."""
    try:
        os.unlink(name)
    except IsADirectoryError:
        try:
            os.rmdir(name)
        except OSError:
            return False
    return True


def _enter(folder: bytes) -> None:
    """Makes a folder, which may be closed to its owner, this process's own."""
    try:
        fd = os.open(folder, FOLDER)
    except PermissionError:
        os.chmod(folder, 0o700)
        fd = os.open(folder, FOLDER)
    try:
        with contextlib.suppress(PermissionError):  # another's; or refused, as to programs, which have closed none then
            os.fchmod(fd, 0o700)
        os.fchdir(fd)
    finally:
        os.close(fd)
