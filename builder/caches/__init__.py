"""Build caches that stores share: in a folder, in a registry, inside an image."""
