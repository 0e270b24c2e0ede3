import csv

from rltf.loggers.csv_file import CSVMetrics


def rows(folder):
    with (folder / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_new_metric_widens_the_file_and_keeps_every_row(tmp_path):
    logger = CSVMetrics(tmp_path)
    logger.log_metrics({"loss": 0.5}, step=1)
    logger.log_metrics({"loss": 0.25, "reward": 1.0}, step=2)
    assert rows(tmp_path) == [
        {"loss": "0.5", "step": "1", "reward": ""},
        {"loss": "0.25", "step": "2", "reward": "1"},
    ]


def test_a_second_logger_appends_to_what_a_first_one_wrote(tmp_path):
    CSVMetrics(tmp_path).log_metrics({"loss": 0.5}, step=1)
    CSVMetrics(tmp_path).log_metrics({"reward": 2.0}, step=2)
    assert [(row["step"], row["loss"], row["reward"]) for row in rows(tmp_path)] == [("1", "0.5", ""), ("2", "", "2")]


def test_phases_are_text_and_stay_text(tmp_path):
    CSVMetrics(tmp_path).log_metrics({"phase": "rl", "iteration": 3}, step=7)
    assert rows(tmp_path) == [{"phase": "rl", "iteration": "3", "step": "7"}]
