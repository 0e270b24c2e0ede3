"""W&B tells the truth of a run: its end, and one line of steps over all its pieces."""

import os
import subprocess
import sys
import time

import fork_server
from wandb_file import offline_runs

PIECE = """
import sys
from pathlib import Path
from rltf.loggers.csv_file import CSVMetrics
from rltf.loggers.wandb import wandb_logger
from rltf.runs.checkpoint_file import cut_rows
folder, first, kept, rows, code = Path(sys.argv[1]), *map(int, sys.argv[2:])
loggers = [CSVMetrics(folder), wandb_logger(str(folder), "x" * 200, mode="offline")]
cut_rows(folder / "metrics.csv", kept)
for step in range(first, first + rows):
    for logger in loggers:
        logger.log_metrics({"loss": step / 2}, step=step)
    loggers[1].log_table("programs", columns=["text"], data=[[str(step)]], step=step)
if code >= 0:
    loggers[1].close(code)
else:
    import os
    os._exit(9)
"""


def piece(folder, *arguments):
    time.sleep(1.1)  # names of offline folders have a second's resolution
    command = [sys.executable, "-c", PIECE, str(folder), *map(str, arguments)]
    # a service that another test left running would take a killed piece for one that still runs
    environment = {key: value for key, value in os.environ.items() if key != "WANDB_SERVICE"}
    subprocess.run(command, check=False, timeout=600, env=environment)


def test_pieces_of_a_resumed_run_make_one_line_of_steps(tmp_path):
    """A piece of 7 rows that is killed, one from the checkpoint at row 4 that fails, one from that at row 6. W&B may
    not have written what the first one logged."""
    piece(tmp_path, 0, 0, 7, -1)
    piece(tmp_path, 4, 4, 5, 1)
    piece(tmp_path, 6, 6, 4, 0)
    *killed, failed, finished = offline_runs(tmp_path)
    assert {piece.get("id", failed["id"]) for piece in [*killed, finished]} == {failed["id"]}
    assert (failed["exit"], finished["exit"]) == (1, 0)
    assert len(finished["name"]) == 128
    rows = [row for run in (failed, finished) for row in run["rows"] if "loss" in row]
    assert [row["trainer/global_step"] for row in rows] == [4, 5, 6, 7, 8, 6, 7, 8, 9]
    assert [row["loss"] for row in rows] == [2.0, 2.5, 3.0, 3.5, 4.0, 3.0, 3.5, 4.0, 4.5]
    steps = [row["_step"] for run in (*killed, failed, finished) for row in run["rows"]]
    assert steps == sorted(set(steps)), "a step that W&B has already would be dropped"
    assert failed["rows"][0]["_step"] >= 7


def test_a_run_has_its_held_out_results_and_exit_code_in_wandb(tmp_path):
    tiny = ("warmup={steps: 4, batch_size: 4}", "trainer={max_epochs: 1, log_every_n_steps: 1}", "report=false")
    tiny += ("rollouts={problems: 2, samples: 2, updates: 2, batch_size: 2, demonstrations: 2}", "logger=[csv,wandb]")
    tiny += ("evaluation={problems: 4, samples: 2, ks: [1, 2]}", "benchmark.sizes={train: 20, validation: 4, test: 6}")
    done = fork_server.run("train.py", *tiny, f"hydra.run.dir={tmp_path}")
    assert done.returncode == 0, done.stderr
    (run,) = offline_runs(tmp_path)
    keys = {f"heldout/{when}/{name}" for when in ("before", "after") for name in ("pass@1", "pass@2", "greedy_pass@1")}
    assert keys <= set(run["summary"])
    assert keys <= set().union(*run["rows"])
    assert keys <= set((tmp_path / "metrics.csv").read_text().splitlines()[0].split(","))
    assert run["exit"] == 0
