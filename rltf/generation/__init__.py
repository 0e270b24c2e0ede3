"""Samplers: the native engine, transformers, vLLM, and processes of their own. Requests in, samples out as they end."""
