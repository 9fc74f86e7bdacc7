"""Paths inside a root, files and their locks, all by file descriptor."""
