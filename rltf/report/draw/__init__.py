"""Drawing charts with matplotlib, in the colours of the page's style sheet.

Functions return a `Chart` that is drawn when the report is written, or None where there is nothing to draw."""
