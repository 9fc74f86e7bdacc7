"""An image from one place to another, its layers as they are."""

from dataclasses import replace

from pybuild.builder.oci.model import Descriptor
from pybuild.builder.transports.places import InArchive, InStore, Place
from pybuild.builder.transports.source import Choice, ReadOptions, open_source
from pybuild.builder.transports.target import WriteOptions, write_to


def copy(source: Place, target: Place, choice: Choice, reading: ReadOptions, writing: WriteOptions) -> Descriptor:
    """Copy what *choice* says of *source* and return what it is at its target.

    Raises as `open_source` and `write_to` do; the target is then as it was, except for content that nothing names.
    """
    if isinstance(source, InArchive) and isinstance(target, InStore):
        reading = replace(reading, into=writing.store.blobs)
    with open_source(source, choice, reading) as opened:
        write_to(target, opened, writing)
        return opened.descriptor
