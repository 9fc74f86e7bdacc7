"""Paths inside a root, files and their locks, all by file descriptor."""

MAX_PATH = 4095
"""Bytes of the longest path: PATH_MAX without the NUL byte."""
