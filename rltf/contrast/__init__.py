"""Contrast between a program's beginning and the same program some lines later (ATC): `job=atc` and `auxiliary=atc`."""
