"""Removing from the store what nothing needs."""
