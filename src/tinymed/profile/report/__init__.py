"""Measured, planned and published figures as one page, as plots for papers, and as tables."""
