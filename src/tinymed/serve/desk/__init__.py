"""The desk: one thread that owns the model, and the queue in front of it."""
