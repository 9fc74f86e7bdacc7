"""A builder of container images."""
