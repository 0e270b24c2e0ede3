"""Empties a folder that a program has filled: with names of any bytes and folders of any depth and mode."""

from __future__ import annotations

import contextlib
import errno
import os

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
"""How a folder is opened that might be something else by now."""


def empty(folder: str, owner: int | None) -> None:
    """Deletes what is in a folder, however deep it was nested and whatever its names are.

    No path grows long and nothing recurses. Folders inside a folder move up to the top, under names that nobody can
    have guessed, before it goes: the deeper a folder lies, the longer the kernel takes over each step in it.

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
        prefix, moved = os.urandom(16).hex().encode(), 0
        while entries:
            name = entries.pop()
            if _delete(name):
                continue
            inside = _opened(name)
            try:
                for entry in os.listdir(inside):
                    if not _delete(os.fsencode(entry), inside):
                        moved += 1
                        entries.append(b"%s-%d" % (prefix, moved))
                        _move_up(os.fsencode(entry), inside, entries[-1])
                os.rmdir(name)
            except OSError as e:
                if e.errno != errno.EXDEV:
                    raise
                entries.pop()
                _walk(name)  # Landlock before Linux 5.19 lets nothing move between folders
            finally:
                os.close(inside)
    finally:
        os.fchdir(start)
        os.close(start)


def _move_up(name: bytes, inside: int, new_name: bytes) -> None:
    """Renames a folder inside another one into the present folder, which needs the right to write in it."""
    with contextlib.suppress(PermissionError):
        os.chmod(name, 0o700, dir_fd=inside)
    os.rename(name, new_name, src_dir_fd=inside)


def _walk(name: bytes) -> None:
    """Deletes a folder step by step: down, and up again."""
    levels, entered = [[name]], list[tuple[bytes, os.stat_result]]()
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
                raise OSError("a folder is changed while it is emptied")
            os.rmdir(name)


def _delete(name: bytes, folder: int | None = None) -> bool:
    """Deletes a file or an empty folder (in another one than the present); False for a folder that is not empty."""
    try:
        os.unlink(name, dir_fd=folder)
    except IsADirectoryError:
        try:
            os.rmdir(name, dir_fd=folder)
        except OSError:
            return False
    return True


def _enter(folder: bytes) -> None:
    """Makes a folder, which may be closed to its owner, this process's own."""
    fd = _opened(folder)
    try:
        os.fchdir(fd)
    finally:
        os.close(fd)


def _opened(folder: bytes) -> int:
    """A descriptor of a folder, which may be closed to its owner."""
    try:
        fd = os.open(folder, FOLDER)
    except PermissionError:
        os.chmod(folder, 0o700)
        fd = os.open(folder, FOLDER)
    with contextlib.suppress(PermissionError):  # another's; or refused, as to programs, which have closed none then
        os.fchmod(fd, 0o700)
    return fd
