"""Credentials for registries: where they are stored, and the tokens that they are exchanged for."""
