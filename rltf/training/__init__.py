"""Training with Lightning: module, data module, micro-batches, phases, sharding and recovery from faults."""
