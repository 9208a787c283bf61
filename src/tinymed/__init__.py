"""Medical vision-language models for the computer a clinic already has."""

__version__ = "0.1.0"
