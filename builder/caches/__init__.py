"""Build caches that stores share: in a directory, in a registry, inside an image."""
