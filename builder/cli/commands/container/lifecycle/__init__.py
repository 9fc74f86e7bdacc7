"""Commands that create, start, change, stop and remove containers."""
