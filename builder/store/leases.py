"""Leases: each user of a store lists the data that it relies on, and a removal reads all of these lists.

    <root>/locks/lease-<random>     the claims of one user, one per line; its process holds a lock on the file
    <root>/locks/claims             locked shared during a claim, exclusive during a removal

Data is claimed before it is looked up, so a blob that is found after its claim stays: a removal that started before the
claim has removed it already, one that starts later reads the claim. A user waits for a removal only as long as some
renames take, and a removal never waits for a user.

If a claim cannot be written, on a disk without free space, its user shares the lock for removals, which then wait for
it.
"""

import fcntl
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from pybuild.builder.oci.blobs import claim_nothing
from pybuild.builder.store.free_space import FULL
from pybuild.builder.store.locks import LASTING, Locks
from pybuild.runtime.paths.filelock import make_locked_file

_PREFIX = "lease-"


class Lease:
    """The claims of one user of the store. Thread-safe."""

    def __init__(self, directory: Path, fallback: Callable[[], None]) -> None:
        self._fallback = fallback
        self._lock = threading.Lock()
        self._claimed: set[str] = set()
        self._written = True
        self._moment = os.open(directory / "claims", os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            # A new user waits for a removal that requires that there is none.
            fcntl.flock(self._moment, fcntl.LOCK_SH)
            self._path, self._file = make_locked_file(directory, _PREFIX)
            fcntl.flock(self._moment, fcntl.LOCK_UN)
        except BaseException:
            os.close(self._moment)
            raise

    def claim(self, name: str) -> None:
        """Claim *name*, the digest of a blob or the name of a snapshot."""
        with self._lock:
            # Once a claim could not be written, the lock that `_fallback` has taken stands for all later ones.
            if not self._written or name in self._claimed:
                return
            self._claimed.add(name)
            self._written = self._write(f"{name}\n".encode())
            if not self._written:
                # Not while the short lock is held: a removal holds the other lock and may wait for the short one
                # (deadlock).
                self._fallback()

    def _write(self, line: bytes) -> bool:
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
        """End all claims."""
        with suppress(FileNotFoundError):
            self._path.unlink()
        os.close(self._file)
        os.close(self._moment)


@contextmanager
def using(locks: Locks, directory: Path, waiting: Callable[[], None]) -> Iterator[Callable[[str], None]]:
    """Register a user of the store in *directory* while the block runs; yield a function that claims names."""
    with ExitStack() as stack:

        def wait_for_removals() -> None:
            stack.enter_context(locks.shared(LASTING, waiting=waiting))

        try:
            lease = Lease(directory, wait_for_removals)
        except OSError as error:
            if error.errno not in FULL and os.access(directory, os.W_OK):
                raise
            # The disk has no inode left, or the store is read-only.
            wait_for_removals()
            yield claim_nothing
            return
        stack.callback(lease.end)
        yield lease.claim


@contextmanager
def removing(directory: Path) -> Iterator[frozenset[str]]:
    """Block new claims for a moment; yields the existing ones."""
    moment = os.open(directory / "claims", os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(moment, fcntl.LOCK_EX)
        claimed: set[str] = set()
        for lines in _live_claims(directory):
            claimed.update(lines.split())
        yield frozenset(claimed)
    finally:
        os.close(moment)


def is_used(directory: Path) -> bool:
    """Return whether the store has any user."""
    return next(_live_claims(directory), None) is not None


def sweep(directory: Path) -> None:
    """Remove the lists of users that were killed."""
    for _ in _live_claims(directory):
        continue


def _live_claims(directory: Path) -> Iterator[str]:
    """Yield the claims of each live user; files of dead ones are removed."""
    for path in sorted(directory.glob(f"{_PREFIX}*")):
        with suppress(FileNotFoundError), path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield file.read().decode("ascii", "replace")
            else:
                path.unlink()
