"""Layers: packing changes into an archive, unpacking an archive into a directory."""
