"""`debug=profiler`: where a run's time went, on the terminal and in the run folder."""

from rltf.commands.train import train


def test_a_profile_is_printed_and_kept(composed, tmp_path, capsys):
    small = ("benchmark.sizes={train: 20, validation: 4, test: 6}", "report=false", "trainer.max_epochs=2")
    train(composed("train", "debug=profiler", "callbacks.profile_table.rows=3", *small))
    out = capsys.readouterr().out
    table = out[out.index("where RL's time went") :].splitlines()
    assert "run_training_epoch" in next(line for line in table if line.startswith("│"))
    assert "fit-profile.txt" in out.replace("\n", "")
    assert "run_training_epoch" in (tmp_path / "run" / "fit-profile.txt").read_text()
