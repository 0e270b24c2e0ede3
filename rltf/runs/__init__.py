"""The run folder: names and formats of its files, what a resumed run may change, and names of the last version."""
