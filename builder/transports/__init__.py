"""Images from one place to another, as they are: store, registry, OCI directory, archives. `copy` is the way in."""
