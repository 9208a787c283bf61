"""Another language model as judge: a score for an answer next to one for its reference."""
