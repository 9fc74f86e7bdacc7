"""A plain OCI library: digests, documents, blobs, layers, archives, registries. No build vocabulary."""
