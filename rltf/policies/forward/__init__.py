"""The training forward pass: log-probs of drawn tokens without full-vocabulary logits in memory. Rows of one prompt
share what is computed from it, and responses of like length run together."""
