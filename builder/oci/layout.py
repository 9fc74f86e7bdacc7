"""The OCI image layout: ``oci-layout``, ``index.json``, and the names of images in ``blobs/`` (image-layout.md).

``index.json`` is the table of images. A name is in two annotations, because OCI tools look for the first and containerd
for the second; an image with several names has several entries, one without a name has an entry of its own.
The store has the full name in both. In a layout for other tools the first has only the tag, as with containerd and
BuildKit: that is what ``skopeo copy oci:dir:1`` and ``oci-layout://dir:1`` look for.
Changes are made one at a time under a lock on ``oci-layout`` and become visible by a rename, so readers need no lock.
"""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.errors import InvalidImage
from pybuild.builder.oci.model import Descriptor, Index
from pybuild.runtime.paths.filelock import exclusive
from pybuild.runtime.values import replace

REF_NAME = "org.opencontainers.image.ref.name"
CONTAINERD_NAME = "io.containerd.image.name"

LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'
INDEX_LIMIT = 64 * 1024 * 1024
"""Larger than the limit for documents of registries: our own table may have many thousand names."""

_DAMAGED = "it has the names of the images; restore it, or move it away to start without names"

_Entries = tuple[Descriptor, ...]


class Layout:
    """The named images below *root*. Many processes may use one layout at once.

    *exported*: names are written for other tools.
    """

    def __init__(self, root: Path, *, exported: bool = False) -> None:
        self.root = root
        self._annotations = exported_annotations if exported else name_annotations

    def begin(self) -> None:
        """Make the directory a layout, unless it is one."""
        with self._locked():
            return

    def resolve(self, name: str) -> Descriptor | None:
        """Return the descriptor of the full name *name*; None when it does not exist."""
        return next((_unnamed(entry) for entry in self._read().manifests if name_of(entry) == name), None)

    def named(self, name: str) -> tuple[Descriptor, ...]:
        """Return the images that *name*, a tag or a full name, may mean, each once."""
        found = [entry for entry in self._read().manifests if name in names_of(entry)]
        return tuple({entry.digest: _unnamed(entry) for entry in found}.values())

    def entries(self) -> tuple[tuple[str, Descriptor], ...]:
        """Return (name, descriptor) of all entries; the name is empty for an image without one."""
        return tuple((name_of(entry), _unnamed(entry)) for entry in self._read().manifests)

    def tag(self, name: str, descriptor: Descriptor) -> None:
        """Make *name* refer to *descriptor*, whatever it referred to before."""
        entry = replace(_unnamed(descriptor), annotations={**_own(descriptor), **self._annotations(name)})

        def stays(old: Descriptor) -> bool:
            called = name in {name_of(old), old.annotations.get(REF_NAME)}
            return not called and bool(name_of(old) or old.digest != entry.digest)

        self._change(lambda entries: (*filter(stays, entries), entry))

    def untag(self, name: str) -> bool:
        """Remove *name*; return whether it existed."""
        before = self._change(lambda entries: tuple(old for old in entries if name_of(old) != name))
        return any(name_of(entry) == name for entry in before)

    def keep(self, descriptor: Descriptor) -> None:
        """List an image without a name, unless it is listed already."""
        entry = _unnamed(descriptor)
        self._change(lambda entries: entries if _lists(entries, entry.digest) else (*entries, entry))

    def name(self, name: str, descriptor: Descriptor) -> None:
        """List an image under *name*; as one without a name when that is empty."""
        if name:
            self.tag(name, descriptor)
        else:
            self.keep(descriptor)

    def drop(self, digest: Digest) -> bool:
        """Remove all entries of an image; return whether there was one. Its blobs stay."""
        before = self._change(lambda entries: tuple(old for old in entries if old.digest != digest))
        return _lists(before, digest)

    def _read(self) -> Index:
        raw = read_index(self.root)
        if raw is None:
            return Index(manifests=())
        try:
            return Index.from_json(raw, f"{self.root}/index.json", limit=INDEX_LIMIT)
        except InvalidImage as error:
            raise InvalidImage(str(error), hint=_DAMAGED) from error

    def _change(self, edit: Callable[[_Entries], _Entries]) -> _Entries:
        """Replace the entries by the result of *edit*, and return the old ones."""
        with self._locked():
            index = self._read()
            after = edit(index.manifests)
            if after != index.manifests or not (self.root / "index.json").exists():
                self._write(replace(index, manifests=after).to_json())
        return index.manifests

    def _write(self, content: bytes) -> None:
        # A fixed name is enough for the new file: the lock is held, and leftovers of a crash are overwritten.
        new = self.root / ".index.json.new"
        # Unlinked, then created exclusively: in a directory that others can write to it may be a symlink.
        new.unlink(missing_ok=True)
        with new.open("xb") as file:
            # Whatever the umask: an exported layout is for everyone, and that of a store is in a private directory.
            os.fchmod(file.fileno(), 0o644)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self.root / "index.json")
        directory = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the lock of the layout. ``oci-layout`` is never replaced, so all processes lock the same file."""
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        with exclusive(self.root / "oci-layout") as fd:
            _mark_complete(fd)
            yield


def read_index(directory: Path) -> bytes | None:
    """Return the ``index.json`` of a layout, None when there is none.

    Raises:
        InvalidImage: it is not a regular file, or too long.
    """
    try:
        # A FIFO in its place must not block.
        fd = os.open(directory / "index.json", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode) or status.st_size > INDEX_LIMIT:
        os.close(fd)
        raise InvalidImage(f"{directory}/index.json: not a regular file of at most {INDEX_LIMIT} bytes")
    with os.fdopen(fd, "rb") as file:
        return file.read(INDEX_LIMIT + 1)


def name_of(descriptor: Descriptor) -> str:
    """Return the name that an entry of ``index.json`` gives to its image; containerd's is always spelled in full."""
    return descriptor.annotations.get(CONTAINERD_NAME) or descriptor.annotations.get(REF_NAME, "")


def names_of(descriptor: Descriptor) -> frozenset[str]:
    """Return the names that tools may use for the image of an entry: a full name, the tag alone, or both."""
    return frozenset(descriptor.annotations.get(key, "") for key in (CONTAINERD_NAME, REF_NAME)) - {""}


def exported_annotations(name: str) -> dict[str, str]:
    """Return the annotations that give *name* to an image for other tools, as containerd writes them."""
    if "/" not in name:
        return name_annotations(name)
    named, at, digest = name.partition("@")
    tag = named.rpartition("/")[2].partition(":")[2]
    return {CONTAINERD_NAME: name, REF_NAME: f"{tag}{at}{digest}"}


def name_annotations(name: str) -> dict[str, str]:
    """Return the annotations that give *name* to an image; a tag alone is not a name for containerd."""
    if not name:
        return {}
    return {CONTAINERD_NAME: name, REF_NAME: name} if "/" in name else {REF_NAME: name}


def _unnamed(descriptor: Descriptor) -> Descriptor:
    return replace(descriptor, annotations=_own(descriptor))


def _own(descriptor: Descriptor) -> dict[str, str]:
    return {key: value for key, value in descriptor.annotations.items() if key not in {CONTAINERD_NAME, REF_NAME}}


def _lists(entries: _Entries, digest: Digest) -> bool:
    return any(entry.digest == digest for entry in entries)


def _mark_complete(fd: int) -> None:
    """Write the marker file that makes a directory a layout, unless it exists."""
    found = os.pread(fd, 4096, 0)
    if not found:
        os.fchmod(fd, 0o644)
        os.pwrite(fd, LAYOUT, 0)
        os.fsync(fd)
    elif b"imageLayoutVersion" not in found:
        raise InvalidImage("oci-layout: this directory is not an OCI image layout")
