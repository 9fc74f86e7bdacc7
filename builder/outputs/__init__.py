"""Where an image is written besides the store: archives, OCI layouts, registries, its root file system."""
