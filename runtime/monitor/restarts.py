"""Whether a container that has ended is started again, and when, by Docker's policies and pauses."""

import time

from pybuild.runtime.monitor.settings import ALWAYS, ON_FAILURE, UNLESS_STOPPED, Restart

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 60.0
"""Seconds before a restart. Each pause is twice the one before, up to the longest."""
_LONG_ENOUGH = 10.0
"""After a run of at least so many seconds, the next pause is the first again."""


class Restarts:
    """The restarts of one container. *count* is how many have been decided on."""

    def __init__(self, restart: Restart) -> None:
        self.count = 0
        self._restart = restart
        self._pause, self._began, self._due = _FIRST_PAUSE, 0.0, 0.0

    def change(self, restart: Restart) -> None:
        """Follow another policy from now on."""
        self._restart = restart

    def begin(self) -> None:
        """Note that the container is being started."""
        self._began = time.monotonic()

    def wanted(self, code: int) -> bool:
        """Return whether the container, which ended with *code*, is started again; if so, set the time and count it."""
        restart = self._restart
        again = restart.policy in {ALWAYS, UNLESS_STOPPED}
        if restart.policy == ON_FAILURE:
            again = code != 0 and (restart.most == 0 or self.count < restart.most)
        if again:
            self._plan()
        return again

    def _plan(self) -> None:
        now = time.monotonic()
        if now - self._began >= _LONG_ENOUGH:
            self._pause = _FIRST_PAUSE
        self._due = now + self._pause
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)
        self.count += 1

    @property
    def milliseconds(self) -> int:
        """The time until the restart, 0 when it is due. Rounded up, so that the loop does not wake up too early."""
        left = self._due - time.monotonic()
        return int(left * 1000) + 1 if left > 0 else 0
