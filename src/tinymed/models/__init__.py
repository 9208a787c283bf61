"""Catalog, manifests, assembly, load integrity, prompt templates."""
