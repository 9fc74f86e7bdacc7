"""Private networks that are started ahead: that of a step while it is prepared, that of the next one while it runs.

A network is ready after 25 ms, which is longer than a short command takes with its sandbox and its layer.
"""

import os
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from pybuild.runtime.errors import SandboxUnavailable
from pybuild.runtime.private_networks.private import PrivateNetwork, begin

_AHEAD = 2
"""Networks that are started while a step runs: with one only, short steps would still wait."""
_thread = threading.local()
"""The network that a thread has started ahead, with the number of the process, since a fork must not use it."""


class _Spares:
    """Networks for the next steps, whichever these are. Several threads may use it at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process = os.getpid()
        self._blocks = self._expected = 0
        self._networks: deque[PrivateNetwork] = deque()

    def is_own(self) -> bool:
        """Return whether this process made it. In a fork, the networks are those of the parent."""
        return self._process == os.getpid()

    def enter(self, steps: int) -> None:
        """Expect so many more steps, until `leave`."""
        with self._lock:
            self._blocks += 1
            self._expected += steps

    def leave(self) -> None:
        """End the networks that no step has taken, unless another build expects steps."""
        with self._lock:
            self._blocks -= 1
            if self._blocks == 0:
                self._expected = 0
                while self._networks:
                    self._networks.popleft().close()

    def take(self) -> PrivateNetwork | None:
        """Return a network for a step that starts, None if there is none that can be used."""
        with self._lock:
            self._expected = max(0, self._expected - 1)
            while self._networks:
                network = self._networks.popleft()
                if network.is_fresh():
                    return network
                network.close()
        return None

    def refill(self) -> None:
        """Start networks until there are as many as steps are expected, or `_AHEAD`."""
        with self._lock:
            while len(self._networks) < min(self._expected, _AHEAD):
                network = _start()
                if network is None:
                    return
                self._networks.append(network)


_spares = _Spares()


def _own_spares() -> _Spares:
    global _spares  # noqa: PLW0603 - a fork has one of its own
    if not _spares.is_own():
        _spares = _Spares()
    return _spares


def _start() -> PrivateNetwork | None:
    with suppress(SandboxUnavailable):  # `take` tries again for the step that needs it, and raises
        return begin()
    return None


@contextmanager
def expecting(steps: int) -> Iterator[None]:
    """For a block of so many *steps*, start networks while one runs; end those that are not used with the block."""
    spares = _own_spares()
    spares.enter(steps)
    try:
        yield
    finally:
        spares.leave()


def start_ahead() -> None:
    """Start a network that `take` will return in this thread, so that it is made while the step is prepared."""
    _thread.ahead = os.getpid(), _own_spares().take() or _start()


def await_ahead() -> str:
    """Wait for the network that was started ahead; return why it failed, "" for success."""
    try:
        _thread.ahead = os.getpid(), take()
    except SandboxUnavailable as error:
        return str(error)
    return ""


def take() -> PrivateNetwork:
    """Return a network that can be used, which the caller must close. Raises SandboxUnavailable."""
    made = _ahead() or begin()
    made.wait()
    # Only now, because two networks that start at the same time would delay each other.
    _own_spares().refill()
    return made


def drop_ahead() -> None:
    """End the network that was started ahead in this thread, if nobody has taken it."""
    made = _ahead()
    if made is not None:
        made.close()


def _ahead() -> PrivateNetwork | None:
    owner, made = getattr(_thread, "ahead", (0, None))
    _thread.ahead = 0, None
    return made if owner == os.getpid() else None
