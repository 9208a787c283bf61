"""What a model will take on a device, from its configuration alone."""
