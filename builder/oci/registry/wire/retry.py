"""How often and how patiently a request is repeated."""

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

from pybuild.builder.oci.errors import RegistryUnavailable

_T = TypeVar("_T")
_RANDOM = secrets.SystemRandom()

_MOMENT = 1.0

RETRIED_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """Exponential waits with full jitter, so that many clients do not come back at the same moment; in seconds."""

    attempts: int = 8
    first_wait: float = 0.5
    longest_wait: float = 30.0
    budget: float = 120.0
    """No wait is begun that would end later than this after the first attempt, or after the last progress."""
    absent_attempts: int = 3
    absent_budget: float = 2.0
    """The same two where nobody is there: mostly a name is misspelt, and at times a server starts anew."""
    hung_attempts: int = 8
    """The same for a server that stays silent until a time is over."""
    tell: Callable[[str], None] = lambda _text: None
    """Takes what is waited for, and how long, when that is longer than a moment."""
    pause: Callable[[threading.Event, float], object] = threading.Event.wait
    clock: Callable[[], float] = time.monotonic

    def run(self, action: Callable[[], _T], stop: threading.Event | None = None) -> _T:
        """Return what *action* returns, repeating it while it raises RegistryUnavailable and patience lasts.

        Setting *stop* ends a wait; *action* looks at it itself.
        """
        attempts = self.begin(stop)
        while True:
            try:
                return action()
            except RegistryUnavailable as error:
                attempts.wait(error)

    def begin(self, stop: threading.Event | None = None) -> "Attempts":
        """Begin to count, for an action that wants to tell of its progress."""
        return Attempts(self, stop or threading.Event())


class Attempts:
    """How often one action was tried since it last came forward."""

    def __init__(self, retry: Retry, stop: threading.Event) -> None:
        self._retry, self._stop = retry, stop
        self._start = retry.clock()
        self._failed = 0

    def renew(self) -> None:
        """Say that the action came forward: a large transfer over a bad line is not given up while it moves."""
        self._start = self._retry.clock()
        self._failed = 0

    def wait(self, error: RegistryUnavailable) -> None:
        """Pause before the next attempt; raises *error* when there shall be none."""
        retry = self._retry
        pause = self._pause(error.retry_after)
        self._failed += 1
        most, budget = retry.attempts, retry.budget
        if error.absent:
            most, budget = min(most, retry.absent_attempts), min(budget, retry.absent_budget)
        if error.hung:
            most = min(most, retry.hung_attempts)
        if self._failed >= most or retry.clock() - self._start + pause > budget:
            if pause > budget:
                error.hint = error.hint or f"it asks to be left alone for {pause:.0f} s, longer than is waited here"
            raise error
        if pause >= _MOMENT:
            retry.tell(f"waiting {pause:.0f} s before attempt {self._failed + 1} of {most}: {error}")
        retry.pause(self._stop, pause)

    def _pause(self, asked: float | None) -> float:
        """What the server asks for wins over what we would do."""
        if asked is not None:
            return asked
        retry = self._retry
        return _RANDOM.uniform(0, min(retry.longest_wait, retry.first_wait * 2**self._failed))


def retry_after(header: str | None) -> float | None:
    """Return the seconds that a Retry-After header asks for; None when there is none that makes sense."""
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
