"""The user's side of an attached container: output is shown, input and the terminal size are sent, keys detach."""

import os
import select
import signal
import socket
import termios
import tty
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Self

from pybuild.builder.errors import RequestError
from pybuild.runtime.monitor import messages
from pybuild.runtime.monitor.starting import receive

_STDIN = 0
_DETACHED = None
DETACH_KEYS = b"\x10\x11"
"""Ctrl-P Ctrl-Q."""
_CONTROLS = "abcdefghijklmnopqrstuvwxyz@[\\]^_"
Output = Callable[[int, bytes], None]


class Attachment:
    """Shows what a monitor sends over its connection *channel*. A context manager.

    With *typed* standard input is sent to the container. With *terminal* the container has a terminal, and the one of
    the user is in raw mode while the block runs. *keys* are the keys that detach.
    """

    def __init__(
        self, channel: socket.socket, output: Output, *, typed: bool, terminal: bool, keys: bytes = DETACH_KEYS
    ) -> None:
        self._channel, self._output, self._keys = channel, output, keys
        self._typed, self._terminal = typed, terminal
        self._seen = b""
        self._settings: list[Any] | None = None
        self._handler: Any = None

    def __enter__(self) -> Self:
        """Make our terminal raw, if it is one."""
        if self._terminal:
            # Only the main thread may set handlers. In other threads a change of the size is not passed on.
            with suppress(ValueError):
                self._handler = signal.signal(signal.SIGWINCH, lambda *_: self.resize())
            if self._typed and os.isatty(_STDIN):
                self._settings = termios.tcgetattr(_STDIN)
                # Not TCSAFLUSH, the default, which drops what was typed ahead.
                tty.setraw(_STDIN, termios.TCSADRAIN)
            self.resize()
        return self

    def __exit__(self, *_error: object) -> None:
        """Restore the settings of our terminal."""
        if self._settings is not None:
            with suppress(termios.error):  # it was hung up
                termios.tcsetattr(_STDIN, termios.TCSADRAIN, self._settings)
        if self._handler is not None:
            signal.signal(signal.SIGWINCH, self._handler)

    def resize(self) -> None:
        """Set the size of the container's terminal to that of our window."""
        window = next((fd for fd in (0, 1, 2) if os.isatty(fd)), None)
        if window is not None:
            rows, columns = termios.tcgetwinsize(window)
            with suppress(OSError):  # the monitor has ended
                self._channel.send(messages.SIZE + f"{rows} {columns}".encode())

    def pump(self) -> int | None:
        """Show output until the container ends, and return its exit code; None when the user detached."""
        poller = select.poll()
        poller.register(self._channel, select.POLLIN)
        if self._typed:
            poller.register(_STDIN, select.POLLIN)
        while True:
            for fd, _ in poller.poll():
                if fd == _STDIN:
                    if not self._type():
                        poller.unregister(_STDIN)
                    if self._seen == self._keys:
                        return _DETACHED
                    continue
                said = receive(self._channel)
                if said[:1] == messages.ENDED:
                    return int(said[1:])
                if not said:
                    raise ConnectionResetError
                if said[:1] in {messages.OUT, messages.ERR}:
                    self._output(1 if said[:1] == messages.OUT else 2, said[1:])

    def _type(self) -> bool:
        """Read a piece of standard input and send it; return False at the end of the input."""
        try:
            data = os.read(_STDIN, messages.PIECE)
        except OSError:  # EIO: the terminal is closed, or belongs to another process group now
            data = b""
        typed = self._without_keys(data) if self._terminal else data
        # The monitor may have ended. What it sent before that is still to be shown, so this is no error.
        with suppress(OSError):
            if typed or not data:
                self._channel.send(messages.INPUT + typed if data else messages.END_INPUT)
        return bool(data)

    def _without_keys(self, data: bytes) -> bytes:
        """Return *data* without the keys that detach. Keys that may be the start of those are held back in `_seen`."""
        passed = b""
        for at in range(len(data)):
            key = data[at : at + 1]
            if self._keys and self._keys.startswith(self._seen + key):
                self._seen += key
                if self._seen == self._keys:
                    break
            else:
                passed += self._seen + key
                self._seen = b""
        return passed


def parse_keys(text: str) -> bytes:
    """Return the bytes of ``--detach-keys``: ``ctrl-p,ctrl-q`` or letters. Raises RequestError."""
    return b"".join(map(_key, filter(None, text.split(","))))


def _key(text: str) -> bytes:
    letter = text.removeprefix("ctrl-")
    wrong = len(letter) != 1 or not letter.isascii() or (letter != text and letter not in _CONTROLS)
    if wrong:
        raise RequestError(f"invalid detach keys ({text}) provided", hint="write them as ctrl-p,ctrl-q")
    return letter.encode() if letter == text else bytes([ord(letter.upper()) & 0x1F])
