"""Loggers are yaml nodes: several at once, metrics.csv always, and a missing package is one sentence."""

import importlib.util

import pytest
from lightning.pytorch.loggers.logger import Logger

from rltf.loggers.csv_file import CSVMetrics
from rltf.setup.loggers import build_loggers, close_loggers, open_loggers
from rltf.training.log import log_row


class Tape(Logger):
    """A logger of somebody else's, without text."""

    name, version = "tape", ""

    def __init__(self, label: str) -> None:
        super().__init__()
        self.label, self.rows, self.config, self.ends = label, [], None, []

    def log_metrics(self, metrics, step=None):
        self.rows.append((step, metrics))

    def log_hyperparams(self, params, *args, **kwargs):
        self.config = params

    def finalize(self, status):
        self.ends.append(status)

    def close(self, code):
        self.ends.append(code)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


def test_a_logger_of_ones_own_is_one_node(composed, folder):
    node = "+logger.tape={_target_: " + f"{__name__}.Tape" + ", label: mine}"
    cfg = composed("train", "logger=csv", node, f"trusted=[rltf,{__name__.split('.')[0]}]")
    csv_file, tape = build_loggers(cfg)
    assert isinstance(csv_file, CSVMetrics)
    assert (tape.label, tape.config["seed"]) == ("mine", 1)
    log_row([csv_file, tape], {"loss/total": 0.5}, phase="rl", iteration=3, step=7)
    assert tape.rows == [(7, {"iteration": 3, "loss/total": 0.5})], "text goes to loggers that take it"
    assert (folder / "metrics.csv").read_text().splitlines() == ["phase,iteration,loss/total,step", "rl,3,0.5,7"]
    close_loggers([csv_file, tape], 0)
    assert tape.ends == [0]


@pytest.mark.parametrize(
    ("error", "ends"),
    [
        (ValueError("a mistake"), ["failed", 2]),
        (ZeroDivisionError(), ["failed", 1]),
        (SystemExit(143), ["failed", 143]),
        (KeyboardInterrupt(), ["failed", 130]),
    ],
)
def test_loggers_learn_how_a_run_ended(composed, folder, error, ends):
    node = "+logger.tape={_target_: " + f"{__name__}.Tape" + ", label: mine}"
    cfg = composed("train", "logger=csv", node, f"trusted=[rltf,{__name__.split('.')[0]}]")
    with pytest.raises(type(error)), open_loggers(cfg) as loggers:
        raise error
    assert loggers[1].ends == ends


def test_a_node_of_version_0_1_gets_the_runs_folder_and_name(composed, folder, monkeypatch):
    """There W&B's folder and name were no keys of its node."""
    monkeypatch.setenv("WANDB_MODE", "offline")
    node = "+logger.wandb={_target_: rltf.callbacks.wandb.wandb_logger, mode: offline}"
    _, wandb = build_loggers(composed("train", "logger=csv", node, "name=x"))
    assert (wandb._wandb_init["name"], wandb.save_dir) == ("x", str(folder))


def test_metrics_csv_is_written_whatever_is_chosen(composed, folder):
    cfg = composed("train", "logger={wandb: null}")
    assert [type(logger) for logger in build_loggers(cfg)] == [CSVMetrics]


@pytest.mark.parametrize("name", ["tensorboard", "mlflow", "trackio"])
def test_a_package_that_is_not_installed_is_one_sentence(composed, folder, name):
    if importlib.util.find_spec(name):
        pytest.skip(f"{name} is installed")
    with pytest.raises(ValueError, match=name) as caught:
        build_loggers(composed("train", f"logger=[csv,{name}]", "name=x"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["tensorboard", "mlflow", "trackio"])
def test_a_row_reaches_the_logger(composed, folder, name, monkeypatch):
    pytest.importorskip(name)
    monkeypatch.setenv("TRACKIO_DIR", str(folder / "trackio"))
    loggers = build_loggers(composed("train", f"logger=[csv,{name}]", "name=x"))
    log_row(loggers, {"loss/total": 0.5}, phase="rl", iteration=0, step=1)
    close_loggers(loggers, 0)
    assert len(list(folder.iterdir())) > 1
