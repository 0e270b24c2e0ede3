"""`--follow`: the page of a run that is going on is written anew when its files have changed."""

from __future__ import annotations

import json

from rltf.report.__main__ import main
from rltf.report.follow import file_states, follow, has_ended


def set_status(folder, status):
    summary = json.loads((folder / "summary.json").read_text())
    (folder / "summary.json").write_text(json.dumps({**summary, "status": status}))


def test_the_page_is_written_once_for_each_change_until_the_run_has_ended(write_run):
    folder, written, waits = write_run(), [], []
    set_status(folder, "running")

    def wait(seconds):
        waits.append(seconds)
        if len(waits) == 2:  # nothing had changed at the first look
            with (folder / "metrics.csv").open("a") as file:
                file.write("rl,9,99\n")
        if len(waits) == 3:
            set_status(folder, "finished")

    follow([folder], lambda: written.append(len(waits)), 5.0, wait)
    assert (written, waits) == ([0, 2, 3], [5.0] * 3)


def test_a_run_that_has_written_nothing_yet_is_waited_for(tmp_path, write_run):
    written = []

    def wait(seconds):
        if not (tmp_path / "run").exists():
            write_run(tmp_path / "run")

    follow([tmp_path / "run"], lambda: written.append(file_states([tmp_path / "run"])), 1.0, wait)
    assert [len(state) for state in written] == [4]  # metrics, rollouts, summary, evaluation


def test_ctrl_c_ends_it(write_run):
    folder = write_run()
    set_status(folder, "running")

    def wait(seconds):
        raise KeyboardInterrupt

    follow([folder], lambda: None, 1.0, wait)


def test_a_run_has_ended_when_its_summary_says_so(write_run, tmp_path):
    folder = write_run()
    assert has_ended(folder)
    set_status(folder, "running")
    assert not has_ended(folder)
    assert not has_ended(tmp_path)


def test_the_page_reads_itself_again_while_the_run_goes_on_and_no_more_at_its_end(write_run, monkeypatch):
    folder, pages = write_run(), []
    set_status(folder, "running")

    def wait(seconds):
        pages.append((folder / "report.html").read_text())
        set_status(folder, "finished")

    monkeypatch.setattr("time.sleep", wait)
    monkeypatch.setattr("rltf.report.follow.follow.__defaults__", (wait,))
    assert main([str(folder), "--follow"]) == 0
    assert '<meta http-equiv="refresh" content="5.0">' in pages[0]
    assert 'http-equiv="refresh"' not in (folder / "report.html").read_text()
    assert (folder / "figures").is_dir()  # everything, at the end
