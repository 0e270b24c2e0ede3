"""The report that `python -m rltf.report` writes of a run or of several: a web page, Markdown, a CSV table, figures."""
