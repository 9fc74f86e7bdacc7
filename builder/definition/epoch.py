"""SOURCE_DATE_EPOCH in all its forms: seconds, or the name of something that has a time.

    1700000000     seconds since 1970
    context        the build context: the time of its commit, of its server's Last-Modified, of its newest file
    NAME           the same for a named context, or for a stage that only adds one remote source to scratch

A directory of the host and an image have no such time, and set none. The value is that of the build argument, else the
default of the global ``ARG SOURCE_DATE_EPOCH=``.
"""

import re
from dataclasses import replace

from pybuild.builder.oci.digest import Digest
from pybuild.builder.plan.ops import Git, Http
from pybuild.builder.plan.plan import Definition
from pybuild.builder.request import Caches, Planning
from pybuild.builder.request.values import EPOCH, seconds_of
from pybuild.builder.sources.pins import Remotes

_FROM = r"(?im)^[ \t]*FROM\b"


def with_epoch(
    definition: Definition, planning: Planning, seconds: int | None, remotes: Remotes, caches: Caches
) -> tuple[Planning, int | None]:
    """Return the time that SOURCE_DATE_EPOCH means, and *planning* so that stages which declare it see it as well.

    *seconds* is the time when the argument is not given.

    Raises:
        DockerfileError, BuildError: its value is invalid, or what it names cannot be fetched.
    """
    given = dict(planning.build_args).get(EPOCH)
    if given is None and seconds is not None:
        return planning, seconds
    # Only an ARG before the first FROM is global. Searching that part of the text saves parsing the file.
    if given is None and EPOCH not in re.split(_FROM, definition.text, maxsplit=1)[0]:
        return planning, seconds
    if given is not None and (not given or seconds_of(given) is not None):
        return planning, seconds_of(given)
    from pybuild.builder.definition.epoch_sources import named_source

    value, source = named_source(definition, planning)
    found = seconds_of(value) if source is None else _time_of(remotes.pin(source), source.label, remotes, caches)
    arguments = dict(planning.build_args) | {EPOCH: "" if found is None else str(found)}
    return replace(planning, build_args=tuple(arguments.items())), found


def _time_of(op: Http | Git, label: str, remotes: Remotes, caches: Caches) -> int | None:
    """Return the time of a commit, or of a file: its Last-Modified, else the time of its newest member."""
    from pybuild.builder.definition.epoch_sources import newest

    if isinstance(op, Http):
        return op.mtime or newest(Digest.parse(op.digest), remotes.store)
    from pybuild.builder.definition.load import fetch_remote_tree

    name = f"[internal] resolve {EPOCH} of {label}"
    layers = fetch_remote_tree(op, name, remotes, caches)
    # All files of a checkout have the time of its commit.
    return newest(layers[-1].digest, remotes.store)
