"""The MLflow logger: a server, or a database in the run folder."""

from __future__ import annotations

import os
from pathlib import Path

from lightning.pytorch.loggers import Logger, MLFlowLogger

from rltf.runs.files import MLFLOW_ID_FILE
from rltf.validation import import_extra


def mlflow_logger(folder: str, experiment: str, name: str, tracking_uri: str | None = None) -> Logger:
    """A logger that writes to MLflow; a run that is resumed continues its MLflow run.

    Args:
        folder: the run folder.
        experiment: MLflow experiment.
        name: name of the run.
        tracking_uri: address of a server; None: `MLFLOW_TRACKING_URI`, else the database `folder/mlflow.db`.

    Raises:
        ValueError: MLflow is not installed.
    """
    import_extra("mlflow", "logger=mlflow", "loggers")
    uri = tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{Path(folder).resolve() / 'mlflow.db'}"
    identity = Path(folder) / MLFLOW_ID_FILE
    run_id = identity.read_text() if identity.exists() else None
    logger = MLFlowLogger(experiment, name, tracking_uri=uri, run_id=run_id)
    if run_id is None and logger.run_id:
        identity.write_text(logger.run_id)
    return logger
