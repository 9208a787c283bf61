"""What this machine has, what it can, and what uses it."""
