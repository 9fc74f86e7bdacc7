"""The kernel's calls that Python's standard library does not offer."""
