"""Whatever a program leaves in its scratch folder is deleted."""

from __future__ import annotations

import errno
import os
import random
from pathlib import Path

import pytest

from rltf.execution.isolation.emptying import empty

NAMES = [b".rltf-1", b"full", b".touched", b".stdin", b"\xff\xfe", b"\n", b"*", b"-rf", b" ", b"x" * 255, b"..."]


def fill(folder: bytes, choice: random.Random, depth: int = 0) -> None:
    for name in choice.sample(NAMES, choice.randint(1, 4)):
        path = folder + b"/" + name
        kind = choice.choice(["folder", "folder", "file", "link", "fifo"])
        if kind == "folder":
            os.mkdir(path)
            if depth < 4:
                fill(path, choice, depth + 1)
            os.chmod(path, choice.choice([0, 0o100, 0o200, 0o400, 0o555, 0o777]))
        elif kind == "file":
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY, choice.choice([0, 0o444])))
        elif kind == "link":
            os.symlink(choice.choice([b"/", b"..", b"nothing", folder]), path)
        else:
            os.mkfifo(path)


def refused(*args: object, **names: object) -> None:
    raise OSError(errno.EXDEV, "as Landlock says before Linux 5.19")


@pytest.mark.parametrize("moving", [True, False])
@pytest.mark.parametrize("seed", range(40))
def test_nothing_is_left_of_names_folders_and_modes_by_chance(
    seed: int, moving: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not moving:
        monkeypatch.setattr(os, "rename", refused)
    (tmp_path / "beside").write_text("kept")
    folder = tmp_path / "scratch"
    folder.mkdir()
    fill(os.fsencode(folder), random.Random(seed))
    before = os.getcwd()
    empty(str(folder), os.getuid())
    assert os.listdir(folder) == []
    assert (tmp_path / "beside").read_text() == "kept"
    assert os.getcwd() == before


def test_folders_20000_deep_are_deleted(tmp_path: Path) -> None:
    before = os.getcwd()
    os.chdir(tmp_path)
    for _ in range(20000):
        os.mkdir("d")
        os.chdir("d")
    os.chdir(before)
    empty(str(tmp_path), os.getuid())
    assert os.listdir(tmp_path) == []


def test_a_link_in_the_place_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "file").touch()
    (tmp_path / "link").symlink_to("target")
    with pytest.raises(OSError):
        empty(str(tmp_path / "link"), None)
    assert (tmp_path / "target" / "file").exists()


def test_files_of_others_stay(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    empty(str(tmp_path), os.getuid() + 1)
    assert os.listdir(tmp_path) == ["file"]
