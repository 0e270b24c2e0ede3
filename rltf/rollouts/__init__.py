"""From problems to rollouts: pipeline, buffer, collation, order of problems. Knows no Lightning."""
