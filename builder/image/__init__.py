"""From layers to an image: config, manifest, annotations, names."""
