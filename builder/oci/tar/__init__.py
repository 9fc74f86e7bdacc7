"""Tar archives, in own code: the values, the writer and the reader. Nothing here touches a file system."""

from pybuild.builder.oci.tar.entry import Entry, EntryKind, clean_path
from pybuild.builder.oci.tar.reader import EntryData, TarReader
from pybuild.builder.oci.tar.writer import TarWriter

__all__ = ["Entry", "EntryData", "EntryKind", "TarReader", "TarWriter", "clean_path"]
