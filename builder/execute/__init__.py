"""Executing ops: `ops.execute` runs one and returns its layer."""
