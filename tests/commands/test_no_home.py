"""A container's user id without HOME and without an account."""

import os
import pwd
from pathlib import Path

import pytest

from rltf.commands.cli import ensure_home
from rltf.loggers.wandb import logged_in
from rltf.policies.kernels import build


@pytest.fixture
def nobody(monkeypatch):
    def no_account(uid):
        raise KeyError(uid)

    for name in ("HOME", "XDG_CACHE_HOME", "NETRC", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", no_account)
    with pytest.raises(RuntimeError):
        Path.home()


def test_caches_and_keys_need_no_home(nobody):
    assert not logged_in()
    assert len(build._folders()) == 1, "the folder that ends with the process"


def test_a_command_gets_a_home_that_ends_with_it(nobody, monkeypatch, capsys):
    ends = []
    monkeypatch.setattr("atexit.register", ends.append)
    ensure_home()
    home = os.environ.pop("HOME")
    assert Path(home).stat().st_mode & 0o777 == 0o700
    assert capsys.readouterr().err.startswith("warning: this user has no home")
    ends[0]()
    assert not Path(home).exists()


def test_a_home_stays_as_it_is(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("HOME", str(tmp_path))
    ensure_home()
    assert os.environ["HOME"] == str(tmp_path)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("chosen", [None, "/chosen"])
def test_a_home_that_cannot_be_written_stays_and_matplotlib_writes_elsewhere(monkeypatch, tmp_path, capsys, chosen):
    monkeypatch.setenv("HOME", str(tmp_path / "gone"))
    monkeypatch.delenv("MPLCONFIGDIR", raising=False)
    if chosen is not None:
        monkeypatch.setenv("MPLCONFIGDIR", chosen)
    ensure_home()
    assert os.environ["HOME"] == str(tmp_path / "gone")
    assert capsys.readouterr().err == ""
    folder = os.environ.pop("MPLCONFIGDIR")
    assert folder == chosen if chosen is not None else Path(folder).is_dir()
