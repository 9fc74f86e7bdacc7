"""How often and how patiently a request is repeated."""

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

from builder.oci.errors import RegistryUnavailable

_T = TypeVar("_T")
_RANDOM = secrets.SystemRandom()

RETRIED_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """Exponential waits with full jitter, so that many clients do not come back at the same moment; in seconds."""

    attempts: int = 8
    first_wait: float = 0.5
    longest_wait: float = 30.0
    budget: float = 120.0
    """No wait is begun that would end later than this after the first attempt."""
    pause: Callable[[threading.Event, float], object] = threading.Event.wait
    clock: Callable[[], float] = time.monotonic

    def run(self, action: Callable[[], _T], stop: threading.Event | None = None) -> _T:
        """Return what *action* returns, repeating it while it raises RegistryUnavailable and patience lasts.

        Setting *stop* ends a wait; *action* looks at it itself.
        """
        start = self.clock()
        for attempt in range(self.attempts):
            try:
                return action()
            except RegistryUnavailable as error:
                wait = self._wait(attempt, error.retry_after)
                if attempt + 1 == self.attempts or self.clock() - start + wait > self.budget:
                    raise
            self.pause(stop or threading.Event(), wait)
        raise AssertionError("the last attempt returns or raises")

    def _wait(self, attempt: int, asked: float | None) -> float:
        """What the server asks for wins over what we would do."""
        if asked is not None:
            return asked
        return _RANDOM.uniform(0, min(self.longest_wait, self.first_wait * 2**attempt))


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
