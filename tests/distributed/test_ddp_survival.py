"""Two processes: memory that runs out in one of them, and signals."""

import os
import signal
import time

import pytest
import torch
from test_ddp import DDP, OPTIONS, PATIENCE, children, command, finish, records

from rltf.runs.failures import peer_lost


@pytest.mark.slow
def test_one_process_in_pieces_takes_the_step_of_one_that_has_memory(tmp_path):
    """Four rows a process and term; the second process can hold two."""
    for script, devices, trainer in (("step", 1, "default"), ("scarce", 2, "ddp")):
        process = command(f"tests/distributed/{script}.py", tmp_path / f"{devices}.pt", devices, trainer)
        _, errors = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, errors
        assert errors.count("training ran out of memory") == devices - 1
    one, two = (torch.load(tmp_path / f"{devices}.pt", weights_only=True) for devices in (1, 2))
    norm = torch.cat([gradient.flatten() for gradient in one.values()]).norm()
    assert torch.cat([(one[name] - two[name]).flatten() for name in one]).norm() <= 1e-12 * norm


@pytest.mark.slow
@pytest.mark.parametrize("everyone", [True, False])
def test_a_run_of_two_processes_ends_when_it_is_told_to(tmp_path, everyone):
    """As `srun` tells all processes, or a person the first one."""
    whole, run = tmp_path / "whole", tmp_path / "run"
    options = (*OPTIONS, *DDP, "trainer.max_epochs=6")
    finish(command("train.py", *options, f"hydra.run.dir={whole}"))
    process = command("train.py", *options, f"hydra.run.dir={run}")
    while not (run / "checkpoints" / "last.ckpt").exists() and process.poll() is None:
        time.sleep(0.02)
    told = [process.pid, *(children(process) if everyone else [])]
    for pid in told:
        os.kill(pid, signal.SIGTERM)
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 143, errors
    assert f"interrupted: python train.py resume={run} goes on" in errors
    finish(command("train.py", f"resume={run}"))
    programs = [[(r["iteration"], r["problem_id"], r["draw"], r["program"]) for r in records(f)] for f in (whole, run)]
    assert programs[0] == programs[1]


def test_what_connects_processes_says_that_one_is_lost():
    assert peer_lost(torch.distributed.DistNetworkError("recvValue failed"))
    assert peer_lost(torch.distributed.DistBackendError("NCCL error: remote process exited"))
    assert peer_lost(RuntimeError("[/pytorch/third_party/gloo/gloo/transport/tcp/pair.cc:547] Connection closed"))
    assert not peer_lost(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    assert not peer_lost(ValueError("resume: ..."))
