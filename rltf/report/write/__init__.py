"""Writing the report: one `ReportWriter` for each form (web page, Markdown, CSV table, W&B report).

All of them write the same `Document` into a folder."""
