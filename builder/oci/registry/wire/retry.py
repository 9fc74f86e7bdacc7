"""Retries of requests: how often, and with which pauses."""

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

from pybuild.builder.oci.errors import RegistryUnavailable
from pybuild.runtime.stopping import pause

_T = TypeVar("_T")
_RANDOM = secrets.SystemRandom()

_MOMENT = 1.0
_TOO_MANY = 429

RETRIED_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """Exponential pauses with full jitter, so that many clients do not retry at the same moment; in seconds."""

    attempts: int = 8
    first_wait: float = 0.5
    longest_wait: float = 30.0
    budget: float = 120.0
    """No pause is started that would end later than this after the first attempt, or after the last progress."""
    absent_attempts: int = 3
    absent_budget: float = 2.0
    """The same two for a server that is unreachable: mostly its name is misspelt, sometimes it is restarting."""
    busy_attempts: int = 4
    """The same for a server that takes no more requests (429) and says no time: quotas last longer than a minute."""
    hung_attempts: int = 8
    """The same for a server that stays silent until a time is over."""
    tell: Callable[[str], None] = lambda _text: None
    """Takes a message about a pause that is longer than a moment."""
    pause: Callable[[threading.Event, float], object] = lambda stop, seconds: pause(seconds, stop)
    clock: Callable[[], float] = time.monotonic

    def run(self, action: Callable[[], _T], stop: threading.Event | None = None) -> _T:
        """Return the result of *action*, retrying it after RegistryUnavailable as the policy permits.

        Setting *stop* ends a pause; *action* checks it itself.
        """
        attempts = self.begin(stop)
        while True:
            try:
                return action()
            except RegistryUnavailable as error:
                attempts.wait(error)

    def begin(self, stop: threading.Event | None = None) -> "Attempts":
        """Start counting, for an action that reports progress."""
        return Attempts(self, stop or threading.Event())


class Attempts:
    """The attempts of one action since its last progress."""

    def __init__(self, retry: Retry, stop: threading.Event) -> None:
        self._retry, self._stop = retry, stop
        self._start = retry.clock()
        self._failed = 0

    def renew(self) -> None:
        """Report progress: a large transfer over a bad connection is retried as long as it progresses."""
        self._start = self._retry.clock()
        self._failed = 0

    def wait(self, error: RegistryUnavailable) -> None:
        """Pause before the next attempt, or raise *error* when there is none left."""
        retry = self._retry
        wait = self._pause(error.retry_after)
        self._failed += 1
        most, budget = retry.attempts, retry.budget
        if error.absent:
            most, budget = min(most, retry.absent_attempts), min(budget, retry.absent_budget)
        if error.hung:
            most = min(most, retry.hung_attempts)
        if error.status == _TOO_MANY and error.retry_after is None:
            most = min(most, retry.busy_attempts)
        if self._failed >= most or retry.clock() - self._start + wait > budget:
            if wait > budget:
                error.hint = error.hint or f"it asks to wait {wait:.0f} s, which is too long"
            raise error
        if wait >= _MOMENT:
            retry.tell(f"waiting {wait:.0f} s before attempt {self._failed + 1} of {most}: {error}")
        retry.pause(self._stop, wait)

    def _pause(self, asked: float | None) -> float:
        """Return the pause: what the server asks for takes precedence."""
        if asked is not None:
            return asked
        retry = self._retry
        return _RANDOM.uniform(0, min(retry.longest_wait, retry.first_wait * 2**self._failed))


def retry_after(header: str | None) -> float | None:
    """Return the seconds of a Retry-After header; None without a valid one."""
    if not header:
        return None
    if header.isascii() and header.isdecimal():
        return float(header[:9])
    try:
        moment = parsedate_to_datetime(header)
    except (ValueError, IndexError):
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (aware - datetime.now(UTC)).total_seconds())
