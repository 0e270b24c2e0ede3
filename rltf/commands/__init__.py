"""What a user starts: `train.py` is the order of a training run, `evaluate.py` of an evaluation, `job.py` of a job that
trains no policy, and `sweep.py` continues sweeps. `cli.py` and `overrides.py` are the command line before them."""
