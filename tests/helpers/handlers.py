"""Handlers of the signals that end a program, for tests that are such a program."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def default_handlers() -> Iterator[None]:
    """Give the signals their defaults, and those of pytest back at the end."""
    before = [signal.signal(number, signal.SIG_DFL) for number in ENDING]
    try:
        yield
    finally:
        for number, handler in zip(ENDING, before, strict=True):
            signal.signal(number, handler)
