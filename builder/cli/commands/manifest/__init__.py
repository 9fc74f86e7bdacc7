"""The command ``manifest``: indexes of the store and of registries."""
