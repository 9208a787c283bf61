"""What this machine is, what runs on it, and what is missing."""
