"""Text to token ids and back. Prompts and answers are encoded as one piece, and every token of a response has its exact
characters."""
