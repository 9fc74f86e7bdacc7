"""The streams of a container's process, from the monitor's side: two pipes of output, and a pipe or terminal."""

import fcntl
import os
import sys
import termios
from _collections_abc import Callable
from _socket import AF_UNIX, SOCK_CLOEXEC, SOCK_STREAM, socketpair

from pybuild.runtime.kernel.passing import receive
from pybuild.runtime.monitor.loop import IN, OUT, Loop
from pybuild.runtime.sandbox.inside.plan import NULL, TERMINAL

_PIECE = 1 << 16
_LAST_PIECES = 16  # 1 MB, the most that a pipe of an ordinary user can hold (fs.pipe-max-size)


class Streams:
    """What a process prints and reads. *given* are the three descriptors for the process, until `give` closes them.

    Output stays in the pipes until `show` or `close` is called.
    """

    def __init__(
        self, loop: Loop, kind: bytes, output: Callable[[int, bytes], None], drained: Callable[[], None]
    ) -> None:
        """Make streams of this *kind*: NULL, PIPE or TERMINAL, which says what standard input is.

        *output* is called with 1 or 2 and what was printed on that stream, *drained* when all input has been written.
        """
        self._loop, self._output, self._drained = loop, output, drained
        self._input, self._typed, self._shown = -1, b"", False
        self._terminal = kind == TERMINAL
        readers, writers = zip(*(os.pipe2(os.O_CLOEXEC) for _ in range(2)), strict=True)
        self._readers: dict[int, int] = {}
        for number, fd in enumerate(readers, 1):
            self._add(fd, number)
        self.given = (self._make_input(kind), *writers)

    def _make_input(self, kind: bytes) -> int:
        """Return standard input of the process. For a terminal, it is a socket over which the keeper sends that."""
        if kind == NULL:
            return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        if kind == TERMINAL:
            ours, theirs = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC)
            self._loop.watch(ours.detach(), IN, self._take_terminal)
            return theirs.detach()
        reader, self._input = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self._input, False)
        # For its hang-up alone, which poll(2) always reports: nobody can read it any more.
        self._loop.watch(self._input, 0, self._ready)
        return reader

    def give(self) -> None:
        """Close the descriptors for the process, once the keeper has been forked with its own copies of them."""
        for fd in self.given:
            os.close(fd)
        self.given = ()

    def _add(self, fd: int, number: int) -> None:
        os.set_blocking(fd, False)
        self._readers[fd] = number
        self._watch(fd)

    def _watch(self, fd: int) -> None:
        wanted = IN if self._shown and fd in self._readers else 0
        self._loop.watch(fd, wanted | (OUT if fd == self._input and self._typed else 0), self._ready)

    def _take_terminal(self, fd: int, _events: int) -> None:
        """Receive the controlling end of the terminal that the keeper made. Closing *fd* lets the keeper continue."""
        _, found = receive(fd, 1)
        if found:
            self._input = found[0]
            self._add(found[0], 1)
        self._loop.close(fd)

    def show(self, *, wanted: bool) -> None:
        """Read output from now on, or stop: the process has to wait then once its pipe is full."""
        if wanted != self._shown:
            self._shown = wanted
            for fd in self._readers:
                self._watch(fd)

    def _ready(self, fd: int, events: int) -> None:
        if fd == self._input and events & OUT:
            self._flush()
        # Output first: the hang-up of a writer is reported while there is still something to read.
        if events & IN:
            self._read(fd)
        elif events & ~(IN | OUT):
            self._hang_up(fd)

    def _hang_up(self, fd: int) -> None:
        if fd not in self._readers:
            self._end(fd)
        elif self._shown:
            # Input was not wanted when the loop asked, but an earlier handler of this turn has changed that.
            self._read(fd)
        else:
            # poll(2) reports a hang-up even if no event is wanted, again and again. The pipe stays open because what is
            # left in it is read later.
            self._loop.forget(fd)

    def _read(self, fd: int) -> bool:
        """Read a piece of output and pass it on; return whether there was one."""
        try:
            data = os.read(fd, _PIECE)
        except BlockingIOError:
            return False
        except OSError:  # a terminal that nobody has open any more
            data = b""
        if data:
            self._output(self._readers[fd], data)
        else:
            self._end(fd)
        return bool(data)

    def _end(self, fd: int) -> None:
        if fd == self._input:
            self._input, self._typed = -1, b""
        self._readers.pop(fd, None)
        self._loop.close(fd)

    def write(self, data: bytes) -> None:
        """Write *data* to the input of the process, without waiting; drop it when nobody can read it any more."""
        if self._input >= 0:
            self._typed += data
            self._flush()

    @property
    def is_full(self) -> bool:
        """Whether input waits for the process to read it."""
        return bool(self._typed)

    def _flush(self) -> None:
        try:
            self._typed = self._typed[os.write(self._input, self._typed) :]
        except BlockingIOError:  # the pipe is full, and the loop waits for room
            pass
        except OSError:  # nobody reads it any more
            self._typed = b""
        self._watch(self._input)
        if not self._typed:
            self._drained()

    def end_input(self) -> None:
        """Close the input, so that the process reads its end. The input of a terminal stays open."""
        if self._input >= 0 and not self._terminal:
            self._end(self._input)

    def resize(self, rows: int, columns: int) -> None:
        """Set the size of the terminal's window."""
        if self._terminal and self._input >= 0:
            size = b"".join(number.to_bytes(2, sys.byteorder) for number in (rows, columns, 0, 0))
            fcntl.ioctl(self._input, termios.TIOCSWINSZ, size)

    def close(self) -> None:
        """Pass on what is left in the pipes, and close everything: the process has ended."""
        for fd in list(self._readers):
            # Limited, because a process outside that was given the pipe may still write to it.
            for _ in range(_LAST_PIECES):
                if fd not in self._readers or not self._read(fd):
                    break
        for fd in {*self._readers, *({self._input} - {-1})}:
            self._end(fd)
