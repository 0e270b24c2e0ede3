"""What an iteration costs on 8 to 1,024 GPUs, and which piece is the longest: floors, not measurements.

    python tests/perf/scale/cost_model.py [--pieces FILE]

The model is CodeT5-770M in the paper's setting, on H100s in machines of eight. What GPUs and wires do is a floor: bytes
and operations over what such a device reaches at best. What processors do was measured by `scaling.py`: judging a
program, handling it in the trainer, the bytes of a rollout in a checkpoint and how fast they are read. `--pieces` names
a file with its output; without it the figures of docs/scaling.md are taken.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

# The model: width, heads x head width, feed-forward width, layers of encoder and of decoder, vocabulary; tokens read
# and written; bytes of a weight.
D, INNER, FF, LAYERS, VOCAB = 1024, 1024, 4096, 24, 32_100
SOURCE, TARGET, BYTES = 800, 512, 2
PARAMETERS = 737.5e6

# What an H100 of this kind reaches: bytes a second from memory, operations a second in bfloat16.
READS, COMPUTES = 3.0e12, 798e12
IN_MACHINE, BETWEEN_MACHINES = 450e9, 50e9
"""Bytes a second and GPU: NVLink; one 400 Gb/s card a GPU."""
GPUS_A_MACHINE, CORES_A_GPU = 8, 16

PROBLEMS, SAMPLES, UPDATES, ROLLOUTS, DEMONSTRATIONS, BUFFER = 16, 20, 50, 16, 16, 6400
"""The paper's iteration, on each GPU: see configs/train.yaml and configs/recipe/codet5_770m.yaml."""
TEST_SECONDS = 0.2
"""Processor time of a program's tests: 20 tests of 10 ms (APPS)."""


@dataclass(frozen=True)
class ProcessorCosts:
    """Costs measured on a processor."""

    judge_ms: float = 2.0
    """CPU time to judge a program, without that of its tests."""
    handle_ms: float = 0.115
    """Trainer's time per program, from tokens to a rollout in the buffer."""
    rollout_bytes: float = 1654.0
    """Size of a rollout in a checkpoint, without its tokens."""
    unpack_gb_s: float = 0.95
    """Speed at which a process reads the states of other processes."""


@dataclass(frozen=True)
class Iteration:
    """Seconds of one iteration by piece; pieces of one GPU or its share of the machine."""

    gpus: int
    sampling: float
    training: float
    gradients: float
    """Summing gradients over GPUs; overlaps the backward pass at best."""
    handling: float
    judging: float
    """Beside sampling and training at lag 1."""
    gathering: float
    """States of all processes for a checkpoint, which every process receives and reads."""
    gathered_gb: float
    """How much that is."""

    @property
    def seconds(self) -> float:
        """Nothing but judging, and gradients behind half of training, is taken to overlap."""
        rest = self.sampling + self.handling + max(self.training, self.training / 2 + self.gradients)
        return max(rest, self.judging) + self.gathering

    @property
    def bottleneck(self) -> str:
        """Of the pieces that are not sampling or training the one without which the iteration would gain most."""
        gains = {
            name: self.seconds - replace(self, **{name: 0.0}).seconds
            for name in ("gradients", "handling", "judging", "gathering")
        }
        return max(gains, key=lambda name: gains[name])


def sampling_floor(rows: int, samples: int) -> float:
    """Seconds to draw `rows` programs of full length, `samples` of each prompt: weights once a step, keys and values of
    prompts once a prompt, own ones at the mean position."""
    weights = BYTES * (LAYERS * (6 * D * INNER + 2 * D * FF) + VOCAB * D)
    token = 2 * INNER * BYTES * LAYERS
    moved = weights + rows / samples * token * SOURCE + rows * token * TARGET / 2
    computed = 2 * weights / BYTES * rows + 4 * INNER * (SOURCE + TARGET / 2) * LAYERS * rows
    return TARGET * max(moved / READS, computed / COMPUTES)


def training_floor(samples: float, distinct: float) -> float:
    """Seconds of forward and backward passes over `samples` responses to `distinct` prompts."""
    encoder = 2 * 302e6 * SOURCE + 4 * SOURCE**2 * INNER * LAYERS
    cross, decoder = 80.5e9, 448e9
    return 3 * (distinct * (encoder + cross) + samples * decoder) / COMPUTES


def gradients_floor(gpus: int) -> float:
    """Seconds of all updates' ring all-reduce of float32 gradients."""
    wire = IN_MACHINE if gpus <= GPUS_A_MACHINE else BETWEEN_MACHINES
    return UPDATES * 2 * (gpus - 1) / gpus * 4 * PARAMETERS / wire


def iteration(gpus: int, costs: ProcessorCosts) -> Iteration:
    """One iteration on so many GPUs, the paper's work on each."""
    programs = PROBLEMS * SAMPLES
    trained = UPDATES * ROLLOUTS
    state = BUFFER * (costs.rollout_bytes + 4 * SOURCE / SAMPLES + 16 * TARGET)  # id, offsets and log-prob of a token
    received = (gpus - 1) * state
    wire = IN_MACHINE if gpus <= GPUS_A_MACHINE else BETWEEN_MACHINES
    return Iteration(
        gpus=gpus,
        sampling=sampling_floor(programs, SAMPLES),
        # rollouts of a micro-batch share their problem's prompt as far as the buffer's draw allows: taken as not at all
        training=training_floor(trained + UPDATES * DEMONSTRATIONS, trained + UPDATES * DEMONSTRATIONS),
        gradients=gradients_floor(gpus),
        handling=programs * costs.handle_ms / 1e3,
        judging=programs * (costs.judge_ms / 1e3 + TEST_SECONDS) / CORES_A_GPU,
        gathering=received / wire + received / (costs.unpack_gb_s * 1e9),
        gathered_gb=received / 1e9,
    )


def table(costs: ProcessorCosts) -> list[dict[str, float | str]]:
    """Rows for 1 to 1,024 GPUs: seconds by piece, efficiency against one GPU, and the next bottleneck."""
    one = iteration(1, costs)
    rows: list[dict[str, float | str]] = []
    for gpus in (1, 8, 16, 64, 256, 1024):
        now = iteration(gpus, costs)
        row = {name: round(value, 3) for name, value in asdict(now).items()}
        row |= {"seconds": round(now.seconds, 3), "efficiency": round(one.seconds / now.seconds, 3)}
        rows.append({**row, "bottleneck": now.bottleneck})
    return rows


def main() -> None:
    """Prints the table as JSON."""
    parser = argparse.ArgumentParser(description="Floors of an iteration on many GPUs.")
    parser.add_argument("--pieces", type=Path, help="output of scaling.py")
    arguments = parser.parse_args()
    costs = ProcessorCosts()
    if arguments.pieces:
        costs = ProcessorCosts(**json.loads(arguments.pieces.read_text())["pieces"])
    print(json.dumps({"pieces": asdict(costs), "floors_not_measured": table(costs)}, indent=1))


if __name__ == "__main__":
    main()
