"""Images to and from registries (OCI distribution-spec 1.1). See README.md; `registry.Registry` is the way in."""
