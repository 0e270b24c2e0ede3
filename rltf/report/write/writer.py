"""The interface of all forms of the report."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from rltf.report.document import Document


class ReportWriter(Protocol):
    """Writes a report in one form: web page, Markdown, CSV table, or W&B report."""

    def write(self, document: Document, folder: Path) -> str | None:
        """Writes into a folder that exists.

        Returns:
            A line for the user: where the report is, and how to publish it if that remains to be done; None for a file
            that lies beside the web page.
        """
