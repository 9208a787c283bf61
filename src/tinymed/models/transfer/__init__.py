"""Moving large files here: found on an index or a hub, resumed, counted, known by their hash."""
