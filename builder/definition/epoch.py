"""SOURCE_DATE_EPOCH in all its forms: seconds, or the name of something that has a time.

    1700000000     seconds since 1970
    context        the build context: the time of its commit, of its server's Last-Modified, of its newest file
    NAME           the same for a named context, or for a stage that only adds one remote source to scratch

A directory of the host and an image have no such time, and set none. The value is that of the build argument, else the
default of the global ``ARG SOURCE_DATE_EPOCH=``.
"""

import re

from pybuild.builder.dockerfile import DockerfileText
from pybuild.builder.oci.digest import Digest
from pybuild.builder.plan.ops import Git, Http
from pybuild.builder.request import Request
from pybuild.builder.request.values import EPOCH, seconds_of
from pybuild.builder.sources.pins import Remotes

_FROM = r"(?im)^[ \t]*FROM\b"


def with_epoch(file: DockerfileText, request: Request, remotes: Remotes) -> Request:
    """Return *request* with the time that SOURCE_DATE_EPOCH means; stages that declare the argument see it as well.

    Raises:
        DockerfileError, BuildError: its value is invalid, or what it names cannot be fetched.
    """
    given = dict(request.planning.build_args).get(EPOCH)
    if given is None and request.execution.source_date_epoch is not None:
        return request
    if given is None and EPOCH not in re.split(_FROM, file.text, maxsplit=1)[0]:
        return request
    if given is not None and (not given or seconds_of(given) is not None):
        return request.changed(source_date_epoch=seconds_of(given))
    from pybuild.builder.definition.epoch_sources import named_source

    value, source = named_source(file, request)
    seconds = seconds_of(value)
    if source is not None:
        seconds = _time_of(remotes.pin(source), source.label, request, remotes)
    arguments = dict(request.planning.build_args) | {EPOCH: "" if seconds is None else str(seconds)}
    return request.changed(source_date_epoch=seconds, build_args=tuple(arguments.items()))


def _time_of(op: Http | Git, label: str, request: Request, remotes: Remotes) -> int | None:
    """Return the time of a commit, or of a file: its Last-Modified, else the time of its newest member."""
    from pybuild.builder.definition.epoch_sources import newest

    if isinstance(op, Http):
        return op.mtime or newest(Digest.parse(op.digest), remotes.store)
    from pybuild.builder.definition.load import remote_tree

    name = f"[internal] resolve {EPOCH} of {label}"
    layers = remote_tree(op, name, request, remotes)
    # All files of a checkout have the time of its commit.
    return newest(layers[-1].digest, remotes.store)
