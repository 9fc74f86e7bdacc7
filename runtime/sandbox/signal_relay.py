"""Signals of the builder that are meant for the program in a sandbox."""

import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any, Self

from pybuild.runtime.sandbox.inside import plan

_NEVER_SEEN = frozenset({signal.SIGKILL, signal.SIGSTOP})
_OUR_OWN = frozenset({signal.SIGCHLD, signal.SIGPIPE, signal.SIGURG})
"""Not passed on, as by the docker command: they are about this process itself, its children and its pipes."""
_OF_OUR_TERMINAL = frozenset({signal.SIGTTIN, signal.SIGTTOU})
"""The kernel sends them for each attempt of a background process to use its terminal: with a handler, for ever."""
_FAULTS = frozenset({signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGSEGV, signal.SIGSYS})
"""A handler that returns would loop, because the instruction that failed is then executed again."""
PASSED_ON = tuple(sorted(signal.valid_signals() - _NEVER_SEEN - _OUR_OWN - _OF_OUR_TERMINAL - _FAULTS - {plan.END}))
_REQUESTS_TO_END = (signal.SIGINT, signal.SIGTERM)
_PATIENCE = 3  # the number of requests after which the docker command stops waiting
_STDIN = 0
_MOMENT = 0.1  # seconds after a SIGHUP: the terminal may still look open when the signal of its end arrives


class SignalRelay:
    """Passes signals of this process on to a program, inside a ``with`` block.

    `killed` is set when the program is to be killed: at the third SIGINT or SIGTERM, or *stop_timeout* seconds after
    a SIGTERM; a negative number is no timeout. With *all_pass* it is never set, for a receiver that is a relay itself.
    *give_up* is called, in the handler of that third signal, for a caller that waits where it cannot look at `killed`.
    """

    def __init__(
        self, stop_timeout: float, *, all_pass: bool = False, give_up: Callable[[], None] | None = None
    ) -> None:
        self.killed = threading.Event()
        self._all_pass, self._give_up = all_pass, give_up
        self._stop_timeout = -1 if all_pass else stop_timeout
        self._timer: threading.Timer | None = None
        self._requests = 0
        self._send: Callable[[int], None] | None = None
        self._early: list[int] = []
        self._handlers: dict[int, Any] = {}
        self._on_terminal = os.isatty(_STDIN)

    def __enter__(self) -> Self:
        """Handle the signals from now on; those before `connect` are kept until then."""
        with suppress(ValueError):  # only the main thread may set handlers: elsewhere there is nothing to relay
            self._handlers = {number: signal.signal(number, self._handle) for number in PASSED_ON}
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        """Restore the former handlers of the signals."""
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        if self._timer is not None:
            self._timer.cancel()

    def connect(self, send: Callable[[int], None]) -> None:
        """Pass signals on by *send* from now on."""
        self._send = send
        while self._early:
            send(self._early.pop(0))

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        self._requests += number in _REQUESTS_TO_END
        if self._requests >= _PATIENCE and not self._all_pass:
            self.killed.set()
            if self._give_up is not None:
                self._give_up()
        elif self._send is None:
            self._early.append(number)
        else:
            self._send(number)
        if number == signal.SIGTERM:
            self._start_timer()
        elif number == signal.SIGHUP and self._on_terminal:
            _start_later(_MOMENT, self._look_at_terminal)

    def _look_at_terminal(self) -> None:
        """Begin the timeout if the terminal is closed, so that nobody can end the program by keys."""
        if not os.isatty(_STDIN):
            self._start_timer()

    def _start_timer(self) -> None:
        if self._timer is None and self._stop_timeout >= 0:
            self._timer = _start_later(self._stop_timeout, self.killed.set)


def _start_later(seconds: float, action: Callable[[], None]) -> threading.Timer:
    timer = threading.Timer(seconds, action)
    # It must not keep this process from ending when the program has ended in time.
    timer.daemon = True
    timer.start()
    return timer
