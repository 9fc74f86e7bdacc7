"""Where an image goes besides the store: archives, OCI folders, its root file system."""
