"""The sources of one build: the build context behind its ignore file, and the trees of solved stages."""

import codecs
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from pybuild.builder.content.source_tree import SourceTree
from pybuild.builder.errors import RequestError
from pybuild.builder.plan.ops import Local
from pybuild.builder.plan.plan import Definition
from pybuild.builder.request import Files
from pybuild.builder.store.cache import Layers
from pybuild.builder.store.store import Store
from pybuild.grammar.errors import DockerfileError
from pybuild.runtime.errors import UnsafePathError, kernel_reason
from pybuild.runtime.paths.safepath import Root
from pybuild.runtime.values import replace

if TYPE_CHECKING:
    from pybuild.grammar.ignorefile import IgnoreFile

MAIN = Local().name
_FILE = ".dockerignore"
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
IGNORE_LIMIT = 4 << 20
"""The most bytes of an ignore file."""


class Sources:
    """Opens each source once and closes them all at the end."""

    def __init__(self, files: Files, store: Store, cancelled: Callable[[], bool]) -> None:
        self._files = files
        self._store = store
        self._cancelled = cancelled
        self._contexts: dict[str, SourceTree] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        for source in self._contexts.values():
            source.root.close()

    def context(self, name: str = MAIN) -> SourceTree:
        """Return the build context, or a named one. Raises RequestError when it is not a directory."""
        if name not in self._contexts:
            path = self._directory(name)
            root = open_context(path)
            status = os.fstat(root.fd)
            self._contexts[name] = SourceTree(
                root=root,
                ignore=_parsed(ignore_text(root, self._files) if name == MAIN else _read_from_context(root)),
                # As in Docker: copies of files of a context have UID and GID 0 (Dockerfile reference, "COPY --chown").
                owned_by_root=True,
                where="the build context" if name == MAIN else f"the context {name}",
                # The inode as well: another directory may have been moved to the path since the last build.
                id=f"{status.st_ino}:{os.path.abspath(path)}",
            )
        return self._contexts[name]

    def _directory(self, name: str) -> Path | str:
        return self._files.context if name == MAIN else Path(dict(self._files.contexts)[name])

    def of(self, layers: Layers) -> SourceTree:
        """Return the tree of *layers*, unpacking what is missing; the caller closes its root."""
        return SourceTree(root=Root(self._store.trees.open(layers, self._cancelled)), where="that stage or image")


def open_context(path: Path | str) -> Root:
    """Open the directory of a build context. Raises RequestError, also for a remote one."""
    if isinstance(path, str):
        raise RequestError(f"the build context is not a directory of this host: {path}")
    try:
        return Root.open_host(path)
    except FileNotFoundError as error:
        raise RequestError(f'unable to prepare context: path "{path}" not found') from error
    except NotADirectoryError as error:
        raise RequestError(f'unable to prepare context: path "{path}" is not a directory') from error


Named = tuple[str, str]
"""The name of an ignore file, for messages, and its text."""


def ignore_text(root: Root, files: Files) -> Named | None:
    """Read the ignore file of *files*: the one it names, else that of its Dockerfile or of the context *root*.

    If the file is a symlink, it is not followed out of the context.

    Raises:
        RequestError: it is not a regular file, is too long, or was named and cannot be read. Without it the build would
            copy what it excludes.
    """
    if files.ignore_file is not None:
        return _named_ignore_file(files.ignore_file)
    dockerfile = files.dockerfile
    if dockerfile is not None:
        beside = dockerfile.with_name(dockerfile.name + ".dockerignore")
        if beside.is_file():
            return _named_ignore_file(beside)
    return (_read(root, "Dockerfile.dockerignore") if dockerfile is None else None) or _read_from_context(root)


def with_surroundings(dockerfile: Definition, files: Files, ignored: str) -> Definition:
    """Return *dockerfile* with the address and the named contexts of *files*; *ignored* is the ignore file's text."""
    address = files.context if isinstance(files.context, str) else ""
    return replace(dockerfile, ignored=ignored, address=address, contexts=files.contexts)


def read_ignore_text(files: Files) -> str:
    """Return the text of the ignore file of the context, "" for none and for a remote context. Raises RequestError."""
    if not isinstance(files.context, Path):
        return ""
    with open_context(files.context) as root:
        file = ignore_text(root, files)
        return file[1] if file else ""


def _named_ignore_file(path: Path) -> Named:
    try:
        # One that came through a pipe is a file in memory, whose name means nothing to the user.
        name = "the ignore file" if path.is_relative_to("/proc") else path.name
        with path.open("rb") as file:
            content = file.read(IGNORE_LIMIT + 1)
    except OSError as error:
        raise RequestError(f"failed to read ignore file: open {path}: {kernel_reason(error)}") from error
    if len(content) > IGNORE_LIMIT:
        raise RequestError(f"failed to read ignore file: {path}: longer than {IGNORE_LIMIT} bytes")
    return name, content.decode("utf-8", "surrogateescape")


def _read_from_context(root: Root) -> Named | None:
    """Read the ignore file of a context: ``.dockerignore``, else Buildah's ``.containerignore``."""
    return _read(root, _FILE) or _read(root, ".containerignore")


def _parsed(file: Named | None) -> "IgnoreFile | None":
    if file is None:
        return None
    name, text = file
    # Imported here, as most contexts of a warm build have none.
    from pybuild.grammar.ignorefile import IgnoreFile

    try:
        return IgnoreFile.parse(text, name)
    except DockerfileError as error:
        line = text.count("\n", 0, error.span.start) + 1 if error.span else 1
        raise RequestError(f"{name}:{line}: {error.message}", hint=error.hint) from error


def _read(root: Root, name: str) -> Named | None:
    try:
        content = root.read_file(name, IGNORE_LIMIT)
    except UnsafePathError as error:
        raise RequestError(f"failed to read the ignore file: {error}") from error
    return None if content is None else (name, content.decode("utf-8", "surrogateescape"))


def useless_ignore_files(files: Files) -> Iterator[str]:
    """Yield a remark on each ignore file of *files* that exists but has no effect: the files it names are copied.

    Docker copies them as well, without a warning.
    """
    if files.ignore_file is not None:
        yield from _if_utf16(files.ignore_file, "the ignore file")
    elif isinstance(files.context, Path):
        own = Path(f"{files.dockerfile or files.context / 'Dockerfile'}.dockerignore")
        yield from _remarks(own, None if files.dockerfile else files.context)
        yield from _remarks(files.context / _FILE, files.context)
    for name, value in files.contexts:
        # A context that is not a directory has no ignore file.
        yield from (f"context {name}: {remark}" for remark in _remarks(Path(value, _FILE), Path(value)))


def _remarks(path: Path, inside: Path | None) -> Iterator[str]:
    """Yield remarks on problems of the ignore file at *path*; symlinks are not followed out of *inside*."""
    if path.is_symlink():
        target, real = os.readlink(path), path.resolve()
        if inside is not None and not real.is_relative_to(inside.resolve()):
            yield f"{path.name} is a symlink out of the context, to {target}, and is not followed: it excludes nothing"
        elif not real.exists():
            yield f"{path.name} is a symlink to {target}, which does not exist: it excludes nothing"
    yield from _if_utf16(path, path.name)


def _if_utf16(path: Path, name: str) -> Iterator[str]:
    with suppress(OSError):  # reading it as a whole reports the error
        if path.is_file():
            with path.open("rb") as file:
                if file.read(2) in _UTF16:
                    yield f"{name} is UTF-16, so none of its lines excludes anything: save it as UTF-8"
