"""Runs beside each other, question by question, and beside what was published."""
