"""`python -m rltf.report`: what it writes, what it refuses, and with which exit code."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from rltf.report.__main__ import main


@pytest.fixture
def sweep(write_run, tmp_path):
    """Two rewards, three seeds."""
    solved = {
        "coarse": [(2, 1, 2, 0), (1, 2, 2, 1), (2, 2, 1, 1)],
        "coarse+fine": [(3, 1, 4, 1), (2, 3, 4, 0), (4, 2, 2, 2)],
    }
    jobs = [(reward, seed) for reward in solved for seed in (1, 2, 3)]
    for number, (reward, seed) in enumerate(jobs):
        folder = tmp_path / "sweep" / f"{number}_{reward}_seed{seed}"
        write_run(folder, iterations=3, programs=6, reward=reward, seed=seed, after=solved[reward][seed - 1])
    return tmp_path / "sweep"


def test_a_sweep_becomes_a_page_a_text_a_table_and_figures(sweep, capsys):
    assert main([str(sweep)]) == 0
    assert capsys.readouterr().out.splitlines() == [str(sweep / "report.html")]
    page, said = (sweep / "report.html").read_text(), (sweep / "report.md").read_text()
    assert "RLTF, 2 rows of 6 runs" in page
    # coarse: 5, 6 and 6 of 16; coarse+fine: 9, 9 and 10 of 16
    assert "| reward=coarse | pass@1 | 3 | 25.0 %" in said
    assert "35.4 % \\[26.5, 44.4\\]" in said  # mean 0.354167, s = 0.036084, t = 4.302653
    assert "+22.9 points" in said
    assert "3 of 3" in said
    figures = {path.name for path in (sweep / "figures").iterdir()}
    names = {"heldout", "pass_at_k", "validation_1", "reward_1", "flow", "errors", "difficulty", "construct", "time"}
    assert {
        f"{name}.{kind}" for name in (*names, "entropy_1", "kl_1", "outcomes") for kind in ("png", "svg")
    } <= figures
    drawn = {line.partition("](figures/")[2].rstrip(")") for line in said.splitlines() if line.startswith("![")}
    assert drawn == {name for name in figures if name.endswith(".png")}
    assert (sweep / "figures" / "flow.png").read_bytes().startswith(b"\x89PNG")
    assert len((sweep / "table.csv").read_text().splitlines()) == 1 + 2 * 3  # two rows of pass@1, pass@2 and pass@4


def test_a_run_that_failed_is_named_and_its_curves_are_drawn(sweep, capsys):
    folder = sweep / "5_coarse+fine_seed3"
    (folder / "summary.json").write_text(json.dumps({"status": "failed", "error": "OSError: disk", "seed": 3}))
    (sweep / "6_coarse_seed4" / ".hydra").mkdir(parents=True)
    assert main([str(sweep)]) == 0
    page = (sweep / "report.html").read_text()
    assert "5_coarse+fine_seed3 has no results after RL: its curves are drawn, the tables leave it out." in page
    assert "5_coarse+fine_seed3: The run failed: OSError: disk" in page
    assert "6_coarse_seed4 holds none of metrics.csv" in page
    assert "6_coarse_seed4 holds none of metrics.csv" in capsys.readouterr().err


def test_one_seed_a_row_has_no_interval_and_that_is_said(write_run, tmp_path):
    folders = [write_run(tmp_path / r, iterations=1, reward=r, seed=1) for r in ("coarse", "fine")]
    assert main([*map(str, folders), "--out", str(tmp_path / "both")]) == 0
    said = (tmp_path / "both" / "report.md").read_text()
    assert "One seed only, so no interval: reward=coarse, reward=fine." in said
    assert "They need two seeds a row and evaluation.json in each run." in said
    table = said[said.index("| row |") : said.index("In brackets")]
    assert "\\[" not in table


def test_rows_that_did_not_log_a_metric_are_named(write_run, tmp_path):
    folders = [write_run(tmp_path / r, iterations=2, reward=r, seed=1) for r in ("coarse", "fine")]
    metrics = folders[1] / "metrics.csv"
    metrics.write_text(metrics.read_text().replace("policy/kl", "policy/other"))
    assert main([*map(str, folders), "--out", str(tmp_path / "both")]) == 0
    assert "Not logged by reward=fine." in (tmp_path / "both" / "report.md").read_text()


def test_runs_of_two_benchmarks_get_a_report_each(write_run, tmp_path, capsys):
    for name, problems in (("a", "mini/0/test"), ("b", "mini/1/test")):
        write_run(tmp_path / "sweep" / name, iterations=1, problems=problems)
    assert main([str(tmp_path / "sweep")]) == 0
    said = capsys.readouterr()
    assert said.out.splitlines() == [str(tmp_path / "sweep" / f"mini_{i}" / "report.html") for i in (1, 2)]
    assert (
        said.err.strip()
        == "The runs are of different held-out problems (mini (1): 1 run, mini (2): 1 run): a report each."
    )


def test_a_path_without_a_run_ends_with_two_and_the_others_are_written(write_run, tmp_path):
    folder = write_run(iterations=2)
    command = [
        sys.executable,
        "-m",
        "rltf.report",
        str(tmp_path / "nowhere"),
        str(folder),
        "--out",
        str(tmp_path / "o"),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.strip() == f"{tmp_path / 'nowhere'} does not exist: expected a run folder"
    assert done.stdout.strip() == str(tmp_path / "o" / "report.html")


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, "is no run folder and holds none: expected metrics.csv or rollouts.jsonl or summary.json"),
        ({"metrics.csv": "step,a\n"}, "has nothing to show yet: There is no rollouts.jsonl."),
        ({"summary.json": "{"}, "has nothing to show yet: There is no metrics.csv."),
        ({"job/.hydra/config.yaml": "seed: 1"}, "is no run folder and holds none"),
    ],
)
def test_an_empty_folder_is_refused_in_one_sentence(tmp_path, capsys, files, words):
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    assert main([str(tmp_path)]) == 2
    [sentence] = capsys.readouterr().err.splitlines()
    assert sentence.startswith(f"{tmp_path} ")
    assert words in sentence


def test_a_key_that_no_run_has_is_refused(sweep, capsys):
    assert main([str(sweep), "--by", "granularity"]) == 2
    assert capsys.readouterr().err.strip() == "--by granularity: no run has recorded such a config group or key"


def test_the_report_needs_no_torch_and_rltf_no_matplotlib():
    code = "import sys, rltf; assert 'matplotlib' not in sys.modules; import rltf.report.write.files; "
    code += "assert not {'torch', 'lightning', 'wandb', 'matplotlib.pyplot'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_drawing_leaves_matplotlibs_settings_alone(write_run):
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    assert main([str(write_run(iterations=1))]) == 0
    assert dict(mpl.rcParams) == before
