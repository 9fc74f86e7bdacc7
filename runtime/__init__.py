"""Everything that touches the kernel or a root file system. Knows nothing of Dockerfiles or OCI documents."""
