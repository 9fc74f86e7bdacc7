"""The caller's side of a sandbox's terminal: copies bytes both ways, and the size of the window.

While the caller's terminal is typed into a console, it is in raw mode: all keys, even Ctrl-C, are sent to the terminal
inside, which turns them into signals for the program.

Decision: the terminal is made inside. Considered: the caller's own, into which TIOCSTI could type commands for the
caller's shell (CVE-2017-5226); the filter refuses that call as well. Taken: the keeper opens a pseudo terminal of the
sandbox's own devpts, the other end by TIOCGPTPEER and not by a name that an image could have replaced (CVE-2025-52565),
and sends the controlling end over a Unix socket. Input is only read when all earlier input was written, and output is
read all the time, so that neither waits for the other. There is no /dev/console.
"""

import fcntl
import os
import select
import signal
import socket
import termios
import tty
from contextlib import closing, suppress
from typing import Any

from pybuild.runtime.sandbox.child import Child, Fork, Output, read_available
from pybuild.runtime.sandbox.forkserver_client import fork_child

_STDIN = 0
_END_OF_INPUT = b"\x04"
_SIZE = b"\0" * 8  # struct winsize


class TerminalChild(Child):
    """A sandbox child whose process has a terminal, and the console of that terminal."""

    def __init__(self, data: bytes, *, typed: bool, fork: Fork = fork_child) -> None:
        """Start the child on the plan *data*. With *typed*, the caller's standard input is typed into the terminal."""
        self._typed = typed
        self._console: Console | None = None
        self._channel, far_end = socket.socketpair()
        with closing(far_end):
            try:
                super().__init__(data, stdin=far_end.fileno(), fork=fork)
            except BaseException:
                self._channel.close()
                raise
        self._poller.register(self._channel, select.POLLIN)

    def _serve(self, fd: int, output: Output) -> None:
        if fd == self._channel.fileno():
            self._connect()
        elif self._console is not None and fd not in self._streams:
            self._console.serve(fd, output)
        else:
            super()._serve(fd, output)

    def _connect(self) -> None:
        """Receive the terminal that the child has made; closing the socket lets the child continue.

        Without a descriptor the child has ended, and reports why on the status pipe.
        """
        _, descriptors, _, _ = socket.recv_fds(self._channel, 1, 1)
        self._poller.unregister(self._channel)
        if descriptors:
            self._console = Console(descriptors[0], self._poller, typed=self._typed)
            self._console.open()
        self._channel.close()

    def _finish(self, output: Output) -> None:
        if self._console is not None:
            self._console.stop_typing()
        super()._finish(output)

    def close(self) -> None:
        """End the child, and restore the settings of the caller's terminal."""
        if self._console is not None:
            self._console.close()
        self._channel.close()
        super().close()


class Console:
    """Copies between the controlling end of a terminal, *master*, and the caller.

    It registers descriptors with *poller*; the owner of the poller calls `serve` for each that is ready.
    """

    def __init__(self, master: int, poller: select.poll, *, typed: bool) -> None:
        """Own *master* from now on. With *typed*, the caller's standard input is typed into it."""
        self._master, self._poller = master, poller
        self._is_open, self._typed = True, typed
        self._pending = b""
        self._settings: list[Any] | None = None
        self._handler: Any = None

    def open(self) -> None:
        """Begin to copy. `close` restores everything, even if this raises."""
        os.set_blocking(self._master, False)
        with suppress(ValueError):  # only the main thread may set handlers: elsewhere the size stays as it is
            self._handler = signal.signal(signal.SIGWINCH, lambda *_: self._copy_size())
        # After the handler is set, or a change in between would be missed. The program does not run yet, and finds it.
        self._copy_size()
        if self._typed and os.isatty(_STDIN):
            self._settings = termios.tcgetattr(_STDIN)
            # TCSADRAIN keeps what was typed ahead, which TCSAFLUSH would discard (tcsetattr(3)).
            tty.setraw(_STDIN, termios.TCSADRAIN)
        self._watch()

    def serve(self, fd: int, output: Output) -> None:
        """Handle *fd*, one of those that were registered with the poller."""
        if fd == _STDIN:
            data = read_available(_STDIN)
            # The end of input from a pipe becomes Ctrl-D, by which a program sees the end of input from a terminal.
            self._pending += _END_OF_INPUT if data == b"" else data or b""
            self._typed = data != b""
        if self._pending:
            with suppress(OSError):  # EAGAIN: it is full; EIO: it is closed inside, which the next read shows, too
                self._pending = self._pending[os.write(self._master, self._pending) :]
        if fd == self._master:
            data = read_available(self._master)
            self._is_open = data != b""
            if data:
                output(1, data)
        self._watch()

    def stop_typing(self) -> None:
        """Read no more input; what is typed from now on is for the next program that reads it."""
        self._typed = False
        self._watch()

    def close(self) -> None:
        """Restore the settings of the caller's terminal, and close the controlling end of the other one."""
        if self._settings is not None:
            with suppress(termios.error):  # it was closed meanwhile
                termios.tcsetattr(_STDIN, termios.TCSADRAIN, self._settings)
        if self._handler is not None:
            signal.signal(signal.SIGWINCH, self._handler)
        os.close(self._master)

    def _watch(self) -> None:
        """Register what to wait for. Input is only read when all earlier input is written, which bounds the memory."""
        events = {
            self._master: (select.POLLIN | (select.POLLOUT if self._pending else 0)) if self._is_open else 0,
            _STDIN: select.POLLIN if self._typed and self._is_open and not self._pending else 0,
        }
        for fd, wanted in events.items():
            if wanted:
                self._poller.register(fd, wanted)
            else:
                with suppress(KeyError):
                    self._poller.unregister(fd)

    def _copy_size(self) -> None:
        window = next((fd for fd in (0, 1, 2) if os.isatty(fd)), None)
        if window is not None:
            size = fcntl.ioctl(window, termios.TIOCGWINSZ, _SIZE)
            fcntl.ioctl(self._master, termios.TIOCSWINSZ, size)
