"""`python -m rltf.benchmarks.audit NAME [key=value ...]`: references and mutants against the tests of a benchmark."""

from __future__ import annotations

import sys

from rltf.commands.audit import main

if __name__ == "__main__":
    try:
        sys.exit(main())
    except (BrokenPipeError, KeyboardInterrupt):
        sys.exit(130)
