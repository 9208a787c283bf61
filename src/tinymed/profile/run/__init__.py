"""What a model takes on this machine, measured."""
