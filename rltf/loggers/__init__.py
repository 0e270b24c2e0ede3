"""Where metrics go: `metrics.csv` always, and what `logger=` adds. Any Lightning logger may stand there."""
