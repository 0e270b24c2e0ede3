"""Lightning callbacks of a run: sampling, critic, checkpoints, rollouts on disk, progress, times, early stop."""
