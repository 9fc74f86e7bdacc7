"""Removing unused data from the store."""
