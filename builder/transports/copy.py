"""Copying an image from one place to another, with unchanged layers."""

from dataclasses import replace

from pybuild.builder.oci.model import Descriptor
from pybuild.builder.transports.places import InArchive, InStore, Place
from pybuild.builder.transports.source import Choice, ReadOptions, open_source
from pybuild.builder.transports.target import WriteOptions, write_to


def copy(source: Place, target: Place, choice: Choice, reading: ReadOptions, writing: WriteOptions) -> Descriptor:
    """Copy the part of *source* that *choice* selects, and return its descriptor at the target.

    Raises like `open_source` and `write_to`; the target is then unchanged, except for unreferenced content.
    """
    # The blobs of the archive then go to the store at once, and not through a temporary directory.
    if isinstance(source, InArchive) and isinstance(target, InStore):
        reading = replace(reading, into=writing.store.blobs)
    with open_source(source, choice, reading) as opened:
        write_to(target, opened, writing)
        return opened.descriptor
