"""Published checkpoints of other layouts, made into plain transformers models."""
