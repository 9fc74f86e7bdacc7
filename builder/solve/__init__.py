"""From a plan to layers: each vertex from the cache or by carrying it out."""
