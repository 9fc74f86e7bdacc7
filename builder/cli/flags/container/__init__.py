"""Flags about containers."""
