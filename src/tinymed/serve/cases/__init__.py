"""Cases: an image file each, its frames, and what was asked about it; in memory only."""
