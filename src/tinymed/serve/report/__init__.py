"""One case on paper, and as JSON."""
