"""Inputs that a build cannot read by their names: ``-`` for standard input, a Dockerfile of the web, keys for agents.

They are written to a temporary directory, or served by an agent, as long as the build runs.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

from pybuild.builder.cli.tools import open_stdin
from pybuild.builder.definition.load import DEFAULT_NAMES, LIMIT, no_dockerfile, not_found
from pybuild.builder.errors import RequestError
from pybuild.builder.request import Request
from pybuild.builder.store.free_space import in_temporary
from pybuild.runtime.paths.safepath import Root
from pybuild.runtime.values import field, frozen

_STDIN = Path("-")
_AMBIGUOUS = "ambiguous Dockerfile source: both stdin and flag correspond to Dockerfiles"
_MAGICS = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"BZh", b"\xfd7zXZ")


@frozen
class Deferred:
    """Inputs that are made only when the build starts: a Dockerfile to fetch, and agents for keys in files, by id."""

    dockerfile_url: str = ""
    ssh_keys: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)


@contextmanager
def materialized(request: Request, deferred: Deferred | None = None) -> Iterator[Request]:
    """Yield *request* with directories and files in place of ``-``, and with what was *deferred*.

    The temporary files are removed afterwards.
    """
    with (
        _without_stdin(request, named=deferred is not None and bool(deferred.dockerfile_url)) as local,
        ExitStack() as stack,
    ):
        ready = local
        if deferred is not None and deferred.ssh_keys:
            from pybuild.builder.sources.ssh_keys import key_agents

            ready = ready.changed(ssh=(*ready.execution.ssh, *stack.enter_context(key_agents(deferred.ssh_keys))))
        if deferred is not None and deferred.dockerfile_url:
            from pybuild.builder.cli.commands.build.dockerfile_url import fetch_dockerfile
            from pybuild.runtime.paths.scratch import temporary

            directory = stack.enter_context(temporary())
            ready = ready.changed(dockerfile=fetch_dockerfile(deferred.dockerfile_url, ready.execution, directory))
        yield ready


@contextmanager
def _without_stdin(request: Request, *, named: bool) -> Iterator[Request]:
    """Yield *request* without ``-``; *named*: its Dockerfile is at an address, and is fetched later."""
    if _STDIN not in {request.files.context, request.files.dockerfile}:
        if isinstance(request.files.context, Path) and not request.files.context.is_dir():
            raise _no_context(request.files.context)
        yield request
        return
    if request.files.context == request.files.dockerfile:
        raise RequestError("invalid argument: can't use stdin for both build context and dockerfile")
    # Imported here because it imports random, shutil and three compressors.
    from pybuild.runtime.paths.scratch import temporary

    with temporary() as directory:
        with open_stdin() as stream, in_temporary():
            ready = _taken(request, stream, directory, named=named or request.files.dockerfile is not None)
        yield ready


def _no_context(path: Path) -> RequestError:
    if path.exists():
        return RequestError(f'context must be a directory: "{path}"')
    return RequestError(f'path "{path}" not found')


def _taken(request: Request, stream: BufferedReader, directory: Path, *, named: bool) -> Request:
    if request.files.dockerfile == _STDIN:
        return request.changed(dockerfile=_kept(stream, directory))
    context = directory / "context"
    context.mkdir()
    if not _is_archive(stream):
        if named:
            raise RequestError(_AMBIGUOUS, hint="standard input is not an archive: leave out -f, or pipe a tar archive")
        return request.changed(context=context, dockerfile=_kept(stream, directory))
    _unpack(stream, context)
    if request.files.dockerfile is None:
        # With an address the Dockerfile is fetched later. Otherwise it is looked for here, so that the error names the
        # archive, not the temporary directory, which means nothing to the user.
        if not named and not any(os.path.lexists(context / name) for name in DEFAULT_NAMES):
            raise no_dockerfile(context, "the archive", Path())
        return request.changed(context=context)
    return request.changed(context=context, dockerfile=_copy_from_archive(context, request.files.dockerfile, directory))


def _copy_from_archive(context: Path, path: Path, directory: Path) -> Path:
    """Copy the Dockerfile at *path* in the archive, where ``-f`` is a path in it; no symlink leads out of it."""
    with Root.open_host(context) as root:
        text = root.read_file(str(path), LIMIT)
    if text is None:
        raise not_found(str(path))
    copy = directory / "Dockerfile"
    copy.write_bytes(text)
    return copy


def _is_archive(stream: BufferedReader) -> bool:
    head = stream.peek(512)
    return head.startswith(_MAGICS) or head[257:262] == b"ustar"


def _kept(stream: BinaryIO, directory: Path) -> Path:
    text = stream.read(LIMIT + 1)
    if len(text) > LIMIT:
        raise RequestError("the Dockerfile on standard input is too long")
    path = directory / "Dockerfile"
    path.write_bytes(text)
    return path


def _unpack(stream: BufferedReader, directory: Path) -> None:
    from pybuild.builder.oci.errors import LayerError
    from pybuild.builder.oci.layers.unpack import unpack

    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        unpack(stream, handle, overlay=False, diff_id=None)
    except LayerError as error:
        raise RequestError(f"the archive on standard input is damaged: {error}") from error
    finally:
        os.close(handle)
