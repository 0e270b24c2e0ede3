"""Problems with unit tests out of code that has none: `job=mine` (arXiv 2310.13669, docs/mining.md)."""
