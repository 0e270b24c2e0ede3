"""Training problems that repeat problems of evaluation sets."""
