"""Solving a plan: each vertex becomes a layer, from the cache or by executing its op."""
