"""Estimates over verdicts: pass@k with intervals, feedback of an iteration, accuracy of a critic."""
