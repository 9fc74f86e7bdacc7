"""Containers: what they are, what they do, and what is done to them."""
