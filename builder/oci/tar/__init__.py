"""Tar archives, in own code: the values, the writer and the reader. Nothing here touches a file system."""
