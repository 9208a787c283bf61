"""What runs a model: one protocol, several engines."""
