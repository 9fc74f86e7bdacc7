"""The store: blobs, names, cache records, snapshots, and the locks between processes."""
