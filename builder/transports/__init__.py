"""Copying images unchanged between the store, registries, OCI layouts and archives. The entry point is `copy`."""
