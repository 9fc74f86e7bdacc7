"""Private networks that are begun ahead: that of a step while it is prepared, that of the next one while it runs.

It takes 25 ms until a network is ready, more than a short command takes with its sandbox and its layer.
"""

import os
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from pybuild.runtime.errors import SandboxUnavailable
from pybuild.runtime.private_networks.private import PrivateNetwork, begin

_AHEAD = 2
"""Networks that are begun while a step runs: with one, short steps would still wait for it."""
_thread = threading.local()
"""The network that a thread has started ahead, and the process in which it did: a fork must not take it."""


class _Spares:
    """The networks of the steps that begin next, whichever these are. Any number of threads may use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process = os.getpid()
        self._blocks = self._expected = 0
        self._networks: deque[PrivateNetwork] = deque()

    def is_own(self) -> bool:
        """Return whether this process made it: what it holds in a fork belongs to the parent."""
        return self._process == os.getpid()

    def enter(self, steps: int) -> None:
        """Expect so many steps more."""
        with self._lock:
            self._blocks += 1
            self._expected += steps

    def leave(self) -> None:
        """End what no step has taken, unless steps of another build are expected."""
        with self._lock:
            self._blocks -= 1
            if self._blocks == 0:
                self._expected = 0
                while self._networks:
                    self._networks.popleft().close()

    def take(self) -> PrivateNetwork | None:
        """Return a network, if there is one that can be used, for a step that begins."""
        with self._lock:
            self._expected = max(0, self._expected - 1)
            while self._networks:
                network = self._networks.popleft()
                if network.is_fresh():
                    return network
                network.close()
        return None

    def refill(self) -> None:
        """Begin the networks of the next steps, if there are fewer than are expected."""
        with self._lock:
            while len(self._networks) < min(self._expected, _AHEAD):
                network = _begun()
                if network is None:
                    return
                self._networks.append(network)


_spares = _Spares()


def _own_spares() -> _Spares:
    global _spares  # noqa: PLW0603 - a fork has one of its own
    if not _spares.is_own():
        _spares = _Spares()
    return _spares


def _begun() -> PrivateNetwork | None:
    with suppress(SandboxUnavailable):  # the step that needs it says why
        return begin()
    return None


@contextmanager
def expecting(steps: int) -> Iterator[None]:
    """Begin the network of the next of so many *steps* while one runs; end what is not used when the block ends."""
    spares = _own_spares()
    spares.enter(steps)
    try:
        yield
    finally:
        spares.leave()


def start_ahead() -> None:
    """Start a network that `take` will return in this thread, so that it is made while the step is prepared.

    Nothing happens where there can be none: `take` says why.
    """
    _thread.ahead = os.getpid(), _own_spares().take() or _begun()


def failure_ahead() -> str:
    """Wait for the network that was started ahead; return why there is none, "" when `take` has one."""
    try:
        _thread.ahead = os.getpid(), take()
    except SandboxUnavailable as error:
        return str(error)
    return ""


def take() -> PrivateNetwork:
    """Return a network that is ready, which the caller closes. Raises SandboxUnavailable when there can be none."""
    made = _ahead() or begin()
    made.wait()
    # Not earlier: two that start at once would delay each other.
    _own_spares().refill()
    return made


def drop_ahead() -> None:
    """End what was started ahead in this thread and not taken."""
    made = _ahead()
    if made is not None:
        made.close()


def _ahead() -> PrivateNetwork | None:
    owner, made = getattr(_thread, "ahead", (0, None))
    _thread.ahead = 0, None
    return made if owner == os.getpid() else None
