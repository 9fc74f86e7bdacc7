"""Who uses what of a store: each user keeps a list of what it relies on, and whoever removes something reads them all.

    <root>/locks/lease-<random>     the claims of one user, one a line; its process holds the lock of the file
    <root>/locks/claims             shared for the moment of a claim, exclusive for the moment of a removal

A claim comes before the look at what is claimed. So who finds a blob after its claim keeps it: a removal that began
before the claim has removed it already, one that begins later reads the claim. No user waits for a removal longer than
renames take, and no removal waits for a user.

Where a claim cannot be written, on a disk without a byte left, its user shares the lock of those that remove, and they
wait for it.
"""

import fcntl
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from pybuild.builder.store.locks import LASTING, Locks
from pybuild.builder.store.room import FULL
from pybuild.runtime.paths.filelock import new_locked_file

_PREFIX = "lease-"


class Lease:
    """The claims of one user of the store. May be used by several threads."""

    def __init__(self, folder: Path, fallback: Callable[[], None]) -> None:
        self._fallback = fallback
        self._lock = threading.Lock()
        self._claimed: set[str] = set()
        self._written = True
        self._moment = os.open(folder / "claims", os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            # Who begins waits for a removal that counts on there being no user.
            fcntl.flock(self._moment, fcntl.LOCK_SH)
            self._path, self._file = new_locked_file(folder, _PREFIX)
            fcntl.flock(self._moment, fcntl.LOCK_UN)
        except BaseException:
            os.close(self._moment)
            raise

    def claim(self, name: str) -> None:
        """Rely on *name*, which is the digest of a blob or the name of a snapshot, from now on."""
        with self._lock:
            if not self._written or name in self._claimed:
                return
            self._claimed.add(name)
            self._written = self._wrote(f"{name}\n".encode())
            if not self._written:
                # Not under the lock of the moment: who removes has the other one and may wait for this.
                self._fallback()

    def _wrote(self, line: bytes) -> bool:
        fcntl.flock(self._moment, fcntl.LOCK_SH)
        try:
            os.write(self._file, line)
        except OSError as error:
            if error.errno not in FULL:
                raise
            return False
        finally:
            fcntl.flock(self._moment, fcntl.LOCK_UN)
        return True

    def end(self) -> None:
        """Rely on nothing any more."""
        with suppress(FileNotFoundError):
            self._path.unlink()
        os.close(self._file)
        os.close(self._moment)


@contextmanager
def using(locks: Locks, folder: Path, waiting: Callable[[], None]) -> Iterator[Callable[[str], None]]:
    """Be a user of the store in *folder*; yields what takes claims."""
    with ExitStack() as stack:

        def wait_for_removals() -> None:
            stack.enter_context(locks.shared(LASTING, waiting=waiting))

        try:
            lease = Lease(folder, wait_for_removals)
        except OSError as error:
            if error.errno not in FULL and os.access(folder, os.W_OK):
                raise
            # On a disk without a name left, or in a store that nobody writes to from here.
            wait_for_removals()
            yield _nothing
            return
        stack.callback(lease.end)
        yield lease.claim


def _nothing(_name: str) -> None:
    """Claim nothing."""


@contextmanager
def removing(folder: Path) -> Iterator[frozenset[str]]:
    """Keep users from new claims for a moment; yields what they have claimed."""
    moment = os.open(folder / "claims", os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(moment, fcntl.LOCK_EX)
        claimed: set[str] = set()
        for lines in _live(folder):
            claimed.update(lines.split())
        yield frozenset(claimed)
    finally:
        os.close(moment)


def is_used(folder: Path) -> bool:
    """Tell whether the store has any user."""
    return next(_live(folder), None) is not None


def sweep(folder: Path) -> None:
    """Remove the lists of users that were killed."""
    for _ in _live(folder):
        continue


def _live(folder: Path) -> Iterator[str]:
    """Yield what each live user has written; what dead ones left is removed."""
    for path in sorted(folder.glob(f"{_PREFIX}*")):
        with suppress(FileNotFoundError), path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield file.read().decode("ascii", "replace")
            else:
                path.unlink()
