"""What a model takes: planned before a download, measured after, and weighed against quality."""
