"""The sources of one build: the build context behind its ignore file, and the trees of solved stages."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from builder.cache import Layers
from builder.errors import RequestError
from builder.machine import Machine
from builder.request import Request
from builder.selection import Source
from grammar.ignorefile import IgnoreFile
from runtime.errors import UnsafePathError
from runtime.safepath import Root

_IGNORE_LIMIT = 4 << 20


class Sources:
    """Opens each source once and closes them all at the end."""

    def __init__(self, request: Request, machine: Machine, cancelled: Callable[[], bool]) -> None:
        self._request = request
        self._machine = machine
        self._cancelled = cancelled
        self._context: Source | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if self._context is not None:
            self._context.root.close()

    def context(self) -> Source:
        """Return the build context. Raises RequestError when it is not a folder."""
        if self._context is None:
            root = open_context(self._request.context)
            status = os.fstat(root.fd)
            self._context = Source(
                root=root,
                ignore=_ignore_file(root, self._request.dockerfile),
                owned_by_root=True,
                id=f"{status.st_dev}:{status.st_ino}:{self._request.context.absolute()}",
            )
        return self._context

    def of(self, layers: Layers) -> Source:
        """Return the tree of *layers*, unpacking what is missing; the caller closes its root."""
        name = self._machine.unpack(layers, self._cancelled)
        return Source(root=Root(self._machine.snapshots.open(name)), where="that stage or image")


def open_context(path: Path) -> Root:
    """Open the folder of a build context. Raises RequestError."""
    try:
        return Root.open_host(path)
    except FileNotFoundError as error:
        raise RequestError(f'unable to prepare context: path "{path}" not found') from error
    except NotADirectoryError as error:
        raise RequestError(f'unable to prepare context: path "{path}" is not a directory') from error


def _ignore_file(root: Root, dockerfile: Path | None) -> IgnoreFile | None:
    """Read ``<Dockerfile>.dockerignore`` beside the Dockerfile, else ``.dockerignore`` of the context.

    A link in place of the file is not followed out of the context, and anything but a regular file is no ignore file.
    """
    if dockerfile is not None:
        beside = dockerfile.with_name(dockerfile.name + ".dockerignore")
        if beside.is_file():
            return IgnoreFile.parse(beside.read_text("utf-8", "surrogateescape"))
    for name in ("Dockerfile.dockerignore",) if dockerfile is None else ():
        text = _read(root, name)
        if text is not None:
            return IgnoreFile.parse(text)
    text = _read(root, ".dockerignore")
    return None if text is None else IgnoreFile.parse(text)


def _read(root: Root, name: str) -> str | None:
    with suppress(UnsafePathError):
        content = root.read_file(name, _IGNORE_LIMIT)
        return None if content is None else content.decode("utf-8", "surrogateescape")
    return None
