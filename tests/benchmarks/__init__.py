"""The table of DESIGN's performance section, measured here and now: ``python -m tests.benchmarks --help``."""
