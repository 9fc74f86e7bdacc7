"""Owners that a file system cannot hold, kept beside the files."""
