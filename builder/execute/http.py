"""A downloaded file as a layer with one entry. The blob was fetched when the build was planned."""

import os

from pybuild.builder.execute.job import Work
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.layers.layer import Layer, check_name
from pybuild.builder.oci.tar.entry import Entry, EntryKind
from pybuild.builder.plan.ops import Http
from pybuild.builder.sources.http import Fetching, fetch_again


def add_download(op: Http, work: Work) -> Layer:
    """Write the layer with the one file of *op*. Raises BuildError when its blob is gone and cannot be fetched."""
    check_name(op.name)
    fetching = Fetching(report=work.status, tell=work.say, stop=work.cancel)
    fetch_again(op, work.host, work.store, fetching)
    with work.store.blobs.open(Digest.parse(op.digest)) as file, work.writer() as layer:
        size = os.fstat(file.fileno()).st_size
        layer.add(Entry(path=op.name, kind=EntryKind.FILE, mode=op.mode, size=size, mtime=op.mtime), file.fileno())
        return layer.commit()
