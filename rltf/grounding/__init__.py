"""Rewards of programs that nobody runs: compiler, static checks, and comparison with a reference (RLCF)."""
