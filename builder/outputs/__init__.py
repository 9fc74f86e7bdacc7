"""Where an image goes besides the store: archives, OCI directories, its root file system."""
