"""Streams of bytes: compression, digests on the way, stages in threads."""
