"""What others printed, with the scorer, the split, the source and the known errors."""
