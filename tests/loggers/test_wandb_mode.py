import os
import subprocess
import sys

import pytest

from rltf.loggers.wandb import logged_in, wandb_logger


@pytest.fixture
def nobody(monkeypatch, tmp_path):
    """No key anywhere."""
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    return tmp_path / "netrc"


def test_without_a_key_nobody_is_logged_in(nobody):
    assert not logged_in()


def test_a_key_in_the_environment_or_in_netrc_counts(nobody, monkeypatch):
    nobody.write_text("machine api.wandb.ai\n  login user\n  password " + "0" * 40 + "\n")
    assert logged_in()
    nobody.write_text("machine example.org\n  login user\n  password x\n")
    assert not logged_in()
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    assert logged_in()


def test_an_unknown_mode_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"^mode is .maybe.: expected auto, online, offline or disabled"):
        wandb_logger(str(tmp_path), "run", mode="maybe")


def test_offline_unless_logged_in(nobody, tmp_path):
    logger = wandb_logger(str(tmp_path), "run", group="sweep")
    assert logger._wandb_init["mode"] == "offline"
    assert logger._wandb_init["group"] == "sweep"


def test_a_run_that_goes_on_is_the_same_run_in_wandb(nobody, tmp_path):
    first, again = (wandb_logger(str(tmp_path), "run") for _ in range(2))
    assert first._wandb_init["id"] == again._wandb_init["id"]
    assert again._wandb_init["resume"] == "allow"
    other = tmp_path / "other"
    other.mkdir()
    assert wandb_logger(str(other), "run")._wandb_init["id"] != first._wandb_init["id"]


def test_a_server_that_cannot_be_reached_leaves_the_run_offline(nobody, tmp_path):
    """In a process of its own: wandb remembers the first server and key that it is told."""
    code = f"""
from rltf.loggers.wandb import wandb_logger
logger = wandb_logger({str(tmp_path)!r}, "run", mode="online")
assert logger._wandb_init["mode"] == "offline"
logger.log_metrics({{"reward": 1.0}})
logger.experiment.finish()
"""
    away = {"WANDB_BASE_URL": "http://127.0.0.1:9", "WANDB_API_KEY": "0" * 40, "WANDB_INIT_TIMEOUT": "3"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **away},
        capture_output=True,
        text=True,
        timeout=800,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "W&B cannot be reached" in done.stderr
    assert len([*(tmp_path / "wandb").glob("offline-run-*")]) == 1
