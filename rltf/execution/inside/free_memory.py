"""Free blocks between used ones, filled: so that forks allocate from fresh pages.

Python's allocator hands out the free blocks of its pools first. After start-up there are some in most pools, so the
first objects of a fork lie on as many pages, each of which is copied. With all of them taken, they lie side by side.
"""

from __future__ import annotations

import os
import re
import sys

_ROW = re.compile(r"^ *\d+ +(\d+) +\d+ +\d+ +(\d+)$", re.MULTILINE)
"""A class of the allocator's statistics: bytes of a block, free blocks."""
_BYTES_OBJECT = sys.getsizeof(b"") + 7
"""At most so many bytes of a block are not content, where the block is the smallest one that fits."""
_fillers: list[list[object]] = []


def fill() -> None:
    """Takes every free block of the allocator's pools in use, for good; does nothing where they cannot be counted."""
    for size, free in _free_blocks():
        if size > _BYTES_OBJECT:
            _fillers.append([bytes(size - _BYTES_OBJECT) for _ in range(free)])


def _free_blocks() -> list[tuple[int, int]]:
    if not hasattr(sys, "_debugmallocstats"):
        return []
    read, write = os.pipe()
    stderr = os.dup(2)
    try:
        os.dup2(write, 2)
        sys._debugmallocstats()  # some 5,000 characters, which the pipe holds
        os.dup2(stderr, 2)
        os.set_blocking(read, False)
        text = os.read(read, 1 << 16).decode(errors="replace")
    except OSError:
        return []
    finally:
        for fd in (read, write, stderr):
            os.close(fd)
    return [(int(size), int(free)) for size, free in _ROW.findall(text)]
