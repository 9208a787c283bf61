"""Bringing a model here from a hub, a package index, a web address or a folder."""
