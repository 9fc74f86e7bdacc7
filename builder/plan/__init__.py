"""The plan as data: ops, vertices, and the keys that are made of them."""
