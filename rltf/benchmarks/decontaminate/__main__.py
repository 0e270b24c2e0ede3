"""`python -m rltf.benchmarks.decontaminate TRAIN --against EVAL ...`: words of evaluation sets in training sets."""

from __future__ import annotations

import sys

from rltf.commands.decontaminate import main

if __name__ == "__main__":
    try:
        sys.exit(main())
    except (BrokenPipeError, KeyboardInterrupt):
        sys.exit(130)
