"""Curricula: how much of a reference program a training program begins with (configs/curriculum). One a file."""
