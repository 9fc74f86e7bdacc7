"""Unpacked layers on disk, and the differences between them."""
