"""What a model is made of, told by its configuration alone."""
