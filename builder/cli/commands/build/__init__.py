"""The command ``build``, and what only it needs."""
