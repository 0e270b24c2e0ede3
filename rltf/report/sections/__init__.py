"""Sections of the report: the tables and charts that answer one question of a reader.

Each function takes rows of runs and returns tables, charts or short texts; none of them draws or writes."""
