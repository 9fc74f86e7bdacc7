"""Images to and from registries (OCI distribution-spec 1.1). The entry point is `registry.Registry`."""
