"""What an evaluation found, for people and for programs."""
