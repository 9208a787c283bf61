"""A model as one file, or as pieces on a USB stick: everything it needs, checked block by block."""
