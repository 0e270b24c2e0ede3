"""Reading a run folder: `metrics.csv`, `rollouts.jsonl`, `evaluation.json`, `summary.json` and Hydra's config record.

Every reader takes damaged or missing files for what they are worth, and says in a sentence what was left out."""
