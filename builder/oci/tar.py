"""Tar archives, in own code: the values, the writer and the reader. Nothing here touches a file system."""

from builder.oci.tar_entry import Entry, EntryKind, clean_path
from builder.oci.tar_reader import EntryData, TarReader
from builder.oci.tar_writer import TarWriter

__all__ = ["Entry", "EntryData", "EntryKind", "TarReader", "TarWriter", "clean_path"]
