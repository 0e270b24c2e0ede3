"""Run folders cannot be damaged: made exclusively, locked while a run writes them, left alone by refused commands."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from rltf.runs.folder import FolderRefused, make_new_folder
from rltf.runs.lock import locked
from rltf.runs.record import read_overrides
from rltf.runs.resume import begin_run, check_folder


def contents(folder):
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.rglob("*") if path.is_file()}


def finished(folder, **keys):
    begin_run({"seed": 1, **keys}, folder, resumed=False, overrides=["seed=1"])
    (folder / "summary.json").write_text(json.dumps({"status": "finished", "pass_at_k": {"after": {"1": 0.5}}}))
    return folder


def test_names_that_are_taken_get_a_suffix(tmp_path):
    names = [make_new_folder(tmp_path / "day" / "12-00-00").name for _ in range(3)]
    assert names == ["12-00-00", "12-00-00-2", "12-00-00-3"]


def test_runs_of_one_moment_get_folders_of_their_own(tmp_path):
    with ThreadPoolExecutor(16) as pool:
        folders = list(pool.map(make_new_folder, [tmp_path / "12-00-00"] * 64))
    assert len(set(folders)) == 64


def test_a_second_process_is_told_who_writes_the_folder(tmp_path):
    code = f"""
import sys
from pathlib import Path
from rltf.runs.lock import locked
with locked(Path({str(tmp_path)!r})):
    print("locked", flush=True)
    sys.stdin.read()
"""
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"locked\n"
        told = pytest.raises(FolderRefused, match=f"is being written by process {holder.pid} on .*: wait for its end")
        with told, locked(tmp_path):
            pass
        holder.kill()
        holder.wait()
    with locked(tmp_path):  # the kernel ended the lock with its process
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("config", "resumed", "sentence"),
    [
        ({"seed": 1}, False, "holds a run already: resume="),
        ({"seed": 2}, True, "^seed is 2 and was 1 when this run began"),
        ({"seed": 1}, True, "is finished and kept no checkpoint to go on from"),
    ],
)
def test_a_refused_run_changes_nothing(tmp_path, config, resumed, sentence):
    before = contents(finished(tmp_path))
    for refuse in (check_folder, begin_run):
        with pytest.raises(FolderRefused, match=sentence):
            refuse(config, tmp_path, resumed=resumed)
    assert contents(tmp_path) == before


def test_an_evaluation_may_be_repeated_and_no_other_takes_its_place(tmp_path):
    begin_run({"policy": "a"}, tmp_path, resumed=False, repeats=True)
    begin_run({"policy": "a"}, tmp_path, resumed=False, repeats=True)
    with pytest.raises(FolderRefused, match=r"holds the results of another command, where policy was a \(now b\)"):
        begin_run({"policy": "b"}, tmp_path, resumed=False, repeats=True)


def test_a_run_without_a_checkpoint_begins_anew(tmp_path):
    begin_run({"seed": 1}, tmp_path, resumed=False, overrides=["seed=1"])
    begin_run({"seed": 2}, tmp_path, resumed=True, overrides=["seed=2"])
    assert (tmp_path / "config.yaml").read_text() == "seed: 2\n"
    assert read_overrides(tmp_path) == ["seed=2"]


def test_what_resumes_reads_our_own_record(tmp_path):
    (tmp_path / ".hydra").mkdir()
    (tmp_path / ".hydra" / "overrides.yaml").write_text("- seed=3\n")
    assert read_overrides(tmp_path) == ["seed=3"], "all that runs of version 0.1 have"
    begin_run({"seed": 1}, tmp_path, resumed=False, overrides=["seed=1", "name='ä b'"])
    assert read_overrides(tmp_path) == ["seed=1", "name='ä b'"]
