"""Layers, users and groups of a root file system."""
