"""The exceptions of this package."""


class RuntimeHostError(Exception):
    """Base class of the exceptions of this package."""


def kernel_reason(error: OSError) -> str:
    """Return why a system call failed, such as ``no such file or directory``: lower case, without errno and path."""
    return (error.strerror or str(error)).lower()


class SandboxError(RuntimeHostError):
    """A sandbox could not be set up: the operation that failed, its path, and the errno.

    It is never raised for the exit status of the process inside.
    """

    def __init__(self, operation: str, path: str, errno: int, detail: str = "") -> None:
        import os

        self.operation, self.path, self.errno = operation, path, errno
        text = f"{operation} {path}".strip() + f": {detail or os.strerror(errno)}"
        super().__init__(text)


class SandboxUnavailable(RuntimeHostError):
    """This host permits no sandbox. *hint* says what to change, *command* is a command that changes it."""

    def __init__(self, reason: str, hint: str = "", command: str = "") -> None:
        super().__init__(reason)
        self.hint = hint
        self.command = command


class TreesNeeded(SandboxUnavailable):
    """This process cannot unpack an image, but one that is root of a user namespace could."""

    def __init__(self) -> None:
        import os

        super().__init__(f"user {os.geteuid()} cannot unpack images outside of a user namespace")


class UnknownUser(RuntimeHostError):
    """A user or group (*kind*) is not in the files of its root, or its number is out of range."""

    def __init__(self, kind: str, name: bytes, reason: str) -> None:
        # An image may have a name of any length, of which a message shows the beginning.
        self.kind, self.name, self.reason = kind, name[:64], reason
        super().__init__(f"unable to find {kind} {self.name.decode(errors='surrogateescape')}: {reason}")


class SnapshotError(RuntimeHostError):
    """A snapshot is missing, has no committed parent, or is in the wrong state for the operation."""


class NoSuchSnapshot(SnapshotError):
    """A snapshot is not there, or not any more: another one has taken its tree over. It can be unpacked again."""

    def __init__(self, name: str) -> None:
        super().__init__(f"no such snapshot: {name}")


class TooManyLayers(SnapshotError):
    """A chain of snapshots is longer than the kernel can mount."""

    hint = "join steps, or copy what they made to a new stage with COPY --from"


class UnmappedOwner(RuntimeHostError):
    """The owner of a file, a user or a group (*kind*), is beyond *last*, the last id that this process has."""

    hint = "give the user more subordinate ids, as root: usermod --add-subuids FIRST-LAST --add-subgids FIRST-LAST NAME"

    def __init__(self, what: str, kind: str, number: int, last: int) -> None:
        super().__init__(f"{what}: {kind} {number} is beyond the ids of this user, which go up to {last}")


class UnsafePathError(RuntimeHostError):
    """A path cannot be resolved inside its root (a loop, a non-directory on the way, a race)."""
