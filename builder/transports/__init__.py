"""Images from one place to another, as they are: store, registry, OCI folder, archives. `copy` is the way in."""
