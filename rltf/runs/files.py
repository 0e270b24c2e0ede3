"""Names of the files of a run folder."""

from __future__ import annotations

from pathlib import Path

CONFIG_FILE = "config.yaml"
"""The whole config of a run, resolved; written when it begins."""
SUMMARY_FILE = "summary.json"
METRICS_FILE = "metrics.csv"
ROLLOUTS_FILE = "rollouts.jsonl"
EVALUATION_FILE = "evaluation.json"
RESULTS_FILE = "results.json"
SAMPLES_FILE = "samples.jsonl"
REPORT_FILE = "report.html"
CRITIC_FILE = "critic.pt"
POLICY_FOLDER = "policy"
CHECKPOINT_FOLDER = "checkpoints"
OVERRIDES_FILE = Path(".hydra", "overrides.yaml")
"""Command-line overrides that a run was started with; Hydra writes it."""
