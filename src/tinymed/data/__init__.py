"""Importing data sets into one shape."""
