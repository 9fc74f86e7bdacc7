"""Finding and reading the Dockerfile of a request, on this host or elsewhere."""
