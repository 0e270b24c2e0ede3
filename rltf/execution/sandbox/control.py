"""Messages between a sandbox's two trusted ends: the worker, and the zygote, which holds no program and no test."""

from __future__ import annotations

import struct

FORK = struct.Struct("<QQI")
"""Limits of the next program: bytes of memory beyond the interpreter's, bytes of address space that it may reserve
beyond those, CPU seconds. With it go the descriptors of the child's channel, of stdin, stdout and stderr; or of the
channel and one pipe for both outputs, with nothing to read. One more is that of the memory of executed lines or of
values."""
ENDED = struct.Struct("<idi")
"""How it ended: wait status, CPU seconds of all its processes, bytes of text that follow (a forbidden call that a
process made which the program left behind)."""
REAP, SURVIVORS = b"R", b"S"
"""To the zygote: look again for ended processes. From it: processes are left that it may not kill itself."""

CHANNEL = 3
"""Descriptor of the child's channel."""
MEMORY = CHANNEL + 1
"""Descriptor of the memory of executed lines or of values, in programs whose job asks for them."""
DUMP_SIGNAL_OFFSET = 1
"""The signal at which the child says where it is: SIGRTMAX minus this."""
STOP_SIGNAL_OFFSET = 2
"""The signal at which the zygote kills its program; sent again until it says that the program has ended."""

BOOT = "import sys; sys.path.insert(0, sys.argv[1]); from {0} import main; main(sys.argv[2:])"
"""How our processes start, by exec in a clean interpreter."""
FLAGS = ("-S", "-s", "-P", "-X", "utf8")
ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "HOME": "/tmp",
    "USER": "user",
    "LANG": "C.UTF-8",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
}
START_ENVIRONMENT = {"LD_BIND_NOW": "1"}
"""For the start of a zygote alone: symbols that are bound then are not bound in every fork."""
