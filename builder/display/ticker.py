"""A thread that refreshes a display, so that it moves while nothing happens."""

import threading
import time
from collections.abc import Callable


class Ticker:
    """Calls *refresh* with the monotonic time every *interval* seconds until closed."""

    def __init__(self, refresh: Callable[[float], None], interval: float) -> None:
        self._refresh = refresh
        self._interval = interval
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="display", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(self._interval):
            try:
                self._refresh(time.monotonic())
            except OSError:
                # The stream is closed. The next write from a thread of the build reports it.
                return

    def close(self) -> None:
        """Stop; no call runs when this returns."""
        self._stop.set()
        self._thread.join()
