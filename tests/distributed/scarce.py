"""`step.py`, with memory that runs out in the second process.

python scarce.py FILE DEVICES STRATEGY"""

import os
import sys

import torch
from step import main

from rltf.algorithms.loss_mix import LossMix

honest = LossMix.__call__


def mixed(self, scored, *more):
    if os.environ.get("LOCAL_RANK") == "1" and max(len(s.batch.mask_BT) for s in scored.values()) > 2:
        raise torch.OutOfMemoryError("CUDA out of memory")
    return honest(self, scored, *more)


if __name__ == "__main__":
    LossMix.__call__ = mixed
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
