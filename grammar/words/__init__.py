"""Words of a Dockerfile: quotes, escapes and variables."""
