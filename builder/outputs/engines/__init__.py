"""Docker and podman of this machine, as places that an image can be loaded into."""
