"""Records: values that the builder sends to the child of the sandbox, and their encoding.

The child must start in milliseconds, so its values are neither dataclasses nor named tuples: to import their modules
takes longer than to make a sandbox. All texts are bytes, as the kernel takes them.
"""

import marshal
import os

from pybuild.runtime.errors import SandboxError

_RECORDS: dict[str, "type[Record]"] = {}


class Record:
    """A value made of its slots, in the order in which its constructor takes them."""

    __slots__: tuple[str, ...] = ()

    def __init_subclass__(cls) -> None:
        _RECORDS[cls.__name__] = cls


def encode(record: Record) -> bytes:
    """Return *record* as bytes."""
    return marshal.dumps(_flatten(record))  # type: ignore[arg-type]


def memory_file(data: bytes) -> int:
    """Return a descriptor of a file in memory with *data*, an encoded record. Nothing of it is written to a disk."""
    fd = os.memfd_create("record", os.MFD_CLOEXEC)
    with open(fd, "wb", closefd=False) as file:
        file.write(data)
    return fd


def decode(data: bytes) -> Record:
    """Return the record that `encode` made *data* from."""
    # Safe, because the data comes from a process of this user, by a descriptor that nobody else has.
    record = _restore(marshal.loads(data))  # noqa: S302
    if not isinstance(record, Record):
        raise TypeError(type(record))
    return record


def _flatten(value: object) -> object:
    if isinstance(value, Record):
        # A str as the first item marks a record, since fields hold bytes and numbers, but no str.
        return (type(value).__name__, *(_flatten(getattr(value, name)) for name in value.__slots__))
    if isinstance(value, tuple):
        return tuple(_flatten(item) for item in value)
    return value


def _restore(value: object) -> object:
    if not isinstance(value, tuple):
        return value
    items = [_restore(item) for item in value]
    if items and isinstance(items[0], str):
        return _RECORDS[items[0]](*items[1:])
    return tuple(items)


class Operation:
    """The name of an operation and its path. An OSError in a ``with`` block becomes a `SandboxError` with them."""

    __slots__ = ("name", "path")

    def __init__(self, name: str, path: bytes = b"") -> None:
        self.name, self.path = name, path

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: object, _traceback: object) -> None:
        if isinstance(error, OSError):
            raise self.failed(error.errno or 0, error.strerror or "") from error

    def failed(self, errno: int, detail: str = "") -> SandboxError:
        """Return the error for this operation."""
        return SandboxError(self.name, self.path.decode(errors="surrogateescape"), errno, detail)
