"""The worker: ``python -I -S serve.py``, with a Unix socket as standard input.

It becomes root of a user namespace, a new one or one that it is given, and answers that, or why not. Then it receives a
message with the descriptor of a socket for each call, and forks a child that serves the call on that socket. It never
starts threads; the children may. When the builder's end of its own socket is closed it ends, and with it every child.
"""

import os
import signal
import socket
import sys

if __name__ == "__main__":
    # Last, so that nothing that is installed beside this package is imported in place of the standard library.
    sys.path.append(os.path.abspath(__file__).rsplit(os.sep, 4)[0])

import threading
from contextlib import suppress
from types import FrameType
from typing import NoReturn

from pybuild.runtime.kernel.syscalls import PR_SET_PDEATHSIG, SIGKILL, close_range, prctl
from pybuild.runtime.worker.messages import (
    WorkerAnswer,
    WorkerCall,
    WorkerEvent,
    WorkerFailure,
    WorkerReady,
    WorkerSetup,
    receive,
    receive_descriptors,
    send,
)

_IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def serve(channel: socket.socket) -> None:
    """Run as the worker until the builder's end of *channel* is closed."""
    # A session of its own, so that Ctrl-C reaches the builder only, which interrupts the calls that it wants to.
    os.setsid()
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    setup: WorkerSetup = receive(channel)
    sys.path[:] = setup.import_paths
    try:
        namespace = _become_root(channel, joins=setup.joins)
    except Exception as error:  # noqa: BLE001 - whatever it is, the builder raises it
        send(channel, WorkerFailure.of(error))
        return
    send(channel, WorkerReady(namespace))
    for name in setup.modules:
        __import__(name)
    while (call := _wait_for_call(channel)) is not None:
        _fork(call, channel)
        call.close()


def _become_root(channel: socket.socket, *, joins: bool) -> tuple[int, int]:
    """Enter a user namespace as root; return its identity."""
    from pybuild.runtime.sandbox.joining import identity, join_root
    from pybuild.runtime.sandbox.user_namespace import become_root

    if joins:
        _message, received, _flags, _address = socket.recv_fds(channel, 1, 1)
        join_root(received[0])
        os.close(received[0])
    else:
        become_root(may_be_single=True)
    return identity()


def _wait_for_call(channel: socket.socket) -> socket.socket | None:
    """Wait for the socket of the next call, None at the end, and reap the children that have ended meanwhile."""
    _message, received, _flags, _address = socket.recv_fds(channel, 1, 1)
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    return socket.socket(fileno=received[0]) if received else None


def _fork(call: socket.socket, channel: socket.socket) -> None:
    worker = os.getpid()
    try:
        child = os.fork()
    except OSError as error:
        send(call, WorkerFailure.of(error))
        return
    if child == 0:
        channel.close()
        # With the worker ends the call, too: nobody else would kill it with the builder.
        prctl(PR_SET_PDEATHSIG, SIGKILL)
        if os.getppid() == worker:  # else it died before PR_SET_PDEATHSIG
            _carry_out(call)
        os._exit(0)


def _carry_out(call: socket.socket) -> None:
    """Serve one call: send its events as they come, then its result or its exception."""
    signal.signal(signal.SIGTERM, _interrupt)
    # A message is two parts, length and value, and the threads of a function may send at the same time.
    lock = threading.Lock()

    def tell(event: object) -> None:
        with lock:
            send(call, WorkerEvent(event))

    try:
        wanted: WorkerCall = receive(call)
        call = receive_descriptors(call, wanted.descriptors)
        os.chdir(wanted.directory)
        os.environ.clear()
        os.environ.update(wanted.environment)
        threading.Thread(target=_watch, args=(call,), daemon=True).start()
        answer: WorkerAnswer | WorkerFailure = WorkerAnswer(wanted.function(tell, *wanted.arguments))
    except BaseException as error:  # noqa: BLE001 - the builder raises it, even a KeyboardInterrupt
        answer = WorkerFailure.of(error)
    # The caller closes the socket when it has the answer, which `_watch` must not take for an interrupt now.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with suppress(OSError), lock:  # the builder has ended, and nobody wants the answer
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        send(call, answer)


def _watch(call: socket.socket) -> None:
    """Interrupt the call when its caller closes the sending side of the socket."""
    with suppress(OSError):  # ECONNRESET: the builder has ended, which is a reason as well
        call.recv(1)
    os.kill(os.getpid(), signal.SIGTERM)


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    close_range(3)
    given = socket.socket(fileno=os.dup(0))
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    serve(given)
    os._exit(0)
