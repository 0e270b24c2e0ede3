"""`train.py` in which sampling runs out of memory now and then."""

import random

import torch

from rltf.commands.cli import command
from rltf.generation.engine.decode_loop import DecodeLoop

honest, chance = DecodeLoop.advance, random.Random()


def advance(self):
    if self._plan.rows > 1 and chance.random() < 0.03:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
    return honest(self)


if __name__ == "__main__":
    DecodeLoop.advance = advance
    command("train")
