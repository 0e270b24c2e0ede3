"""`debug=profiler`: where a run's time went, on the terminal and in the run folder."""

import re

from rltf.commands.train import train


def test_a_profile_is_printed_and_kept(composed, tmp_path, capsys):
    small = ("benchmark.sizes={train: 20, validation: 4, test: 6}", "report=false", "trainer.max_epochs=2")
    train(composed("train", "debug=profiler", "callbacks.profile_table.rows=5", *small))
    out = capsys.readouterr().out
    table = out[out.index("where RL's time went") :].split("└")[0]
    seconds = [float(row) for row in re.findall(r"^│.*│\s+([\d.]+)\s+│$", table, re.M)]
    assert len(seconds) == 5
    # Sampling may take longer than the training epoch or not: the order is that of the seconds, whatever they are.
    assert seconds == sorted(seconds, reverse=True)
    assert "run_training_epoch" in table
    assert "fit-profile.txt" in out.replace("\n", "")
    assert "run_training_epoch" in (tmp_path / "run" / "fit-profile.txt").read_text()
