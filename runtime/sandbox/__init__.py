"""Running a process on a root file system: the side of the builder."""
