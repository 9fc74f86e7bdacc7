"""Resolving a Dockerfile into stages in which every name, variable and base is known."""
