"""Image archives: `load` reads every kind, `save` writes one that Docker and OCI tools read."""
