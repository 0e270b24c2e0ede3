"""When a returned value is right: by Python's `==` on builtin types."""

from rltf.execution.judge.compare import same_value

__all__ = ["same_value"]
