"""The native engine: matrices in 8 or 4 bits, multiplied in C; in NumPy where C cannot run."""
