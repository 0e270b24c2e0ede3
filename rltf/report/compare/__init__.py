"""Comparing runs: which of them are one row of the report, and what each row reached.

Results come with intervals over seeds or problems, and with paired differences to the first row."""
