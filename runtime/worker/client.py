"""The builder's side of the worker: starts it when it is first needed, and has it call functions.

A program with threads cannot enter a user namespace, and one that has entered cannot leave. So a separate process
enters it, which is a program of its own and no fork of the builder.
"""

import atexit
import os
import select
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from pybuild.runtime.errors import RuntimeHostError
from pybuild.runtime.sandbox.joining import identity
from pybuild.runtime.stopping import check
from pybuild.runtime.worker.messages import (
    WorkerAnswer,
    WorkerCall,
    WorkerEvent,
    WorkerReady,
    WorkerSetup,
    peer_is_gone,
    receive,
    send,
    send_descriptors,
    surroundings,
)

Listener = Callable[[Any], None]
_LOCK = threading.Lock()
_Namespace = tuple[int, int] | None
"""The user namespace that a worker has joined, None for one that made its own."""
_WORKERS: dict[tuple[int, _Namespace], "_Worker"] = {}
_WAKE_UP_MS = 200  # a thread that waits for the worker is woken by nothing else, so this is how late a call stops
_KILLED = "the process that works on unpacked images was killed"


def call(
    function: Callable[..., Any],
    *arguments: Any,
    listener: Listener,
    descriptors: tuple[int, ...] = (),
    namespace: int = -1,
    modules: tuple[str, ...] = (),
) -> Any:
    """Return ``function(tell, *arguments)`` as called by root of a user namespace, in another process.

    *function* must be one of a module's top level, because it is pickled by name; arguments, events and the result are
    copied. It gets *descriptors* of this process under the same numbers. What it passes to ``tell`` is passed to
    *listener*, in this thread. When this thread is interrupted or stopped (`runtime.stopping`), so is *function*, and
    this waits for its end. Several threads may call this at once.

    *namespace* is an open user namespace to be root of, -1 for one that the worker makes. If a worker must be started,
    it imports *modules* first, so that all calls have them.

    Raises:
        SandboxUnavailable: this host does not permit it.
        RuntimeHostError: the worker was killed.
        Exception: what *function* raises.
    """
    near, far = socket.socketpair()
    with near:
        with far:
            _worker(namespace, modules).hand_over(far)
        send(near, WorkerCall(function, arguments, descriptors, *surroundings()))
        send_descriptors(near, descriptors)
        try:
            return _answer(near, listener, check)
        except BaseException:
            # The end of the stream interrupts the call there (`serve`). The other direction stays open for its answer.
            near.shutdown(socket.SHUT_WR)
            _drain(near, listener)
            raise


def start(modules: tuple[str, ...] = ()) -> None:
    """Start the worker unless it runs, and have it import *modules* while the caller continues.

    Raises SandboxUnavailable when this host does not permit it.
    """
    _worker(-1, modules)


def _answer(channel: socket.socket, listener: Listener, check_stop: Callable[[], None]) -> Any:
    """Pass on events until the answer arrives, and return it or raise it. *check_stop* is called in between."""
    poller = select.poll()
    poller.register(channel, select.POLLIN)
    while True:
        while not poller.poll(_WAKE_UP_MS):
            check_stop()
        try:
            message = receive(channel)
        except (EOFError, OSError) as error:
            if isinstance(error, OSError) and not peer_is_gone(error):
                raise
            raise RuntimeHostError(_KILLED) from None
        match message:
            case WorkerEvent(event=event):
                listener(event)
            case WorkerAnswer(value=value):
                return value
            case _:
                raise message.error()


def _drain(channel: socket.socket, listener: Listener) -> None:
    """Wait for the end of a call that was interrupted, and ignore its answer."""
    # The answer is mostly that it was interrupted. Anything may be raised here: the exception of the call, or one by
    # the rest of a message that was being read when this thread was interrupted. The caller raises its own.
    with suppress(BaseException):
        _answer(channel, listener, _nothing)
    with suppress(OSError):  # the child has ended
        while channel.recv(1 << 16):
            pass


def _nothing() -> None:
    """Do not stop."""


def _worker(namespace: int, modules: tuple[str, ...]) -> "_Worker":
    """Return the worker for *namespace*, started if there is none. One that made its own serves if that is the one."""
    # Keyed by the process, because a fork of the builder must not use the worker of its parent.
    own = os.getpid()
    wanted = None if namespace < 0 else identity(namespace)
    with _LOCK:
        for key in ((own, wanted), (own, None)):
            worker = _WORKERS.get(key)
            if worker is not None and worker.lives() and wanted in {None, worker.namespace}:
                return worker
        worker = _WORKERS[own, wanted] = _Worker(namespace, modules)
        return worker


class _Worker:
    """The process and the socket to it. *namespace* identifies the user namespace that it is in."""

    def __init__(self, namespace: int, modules: tuple[str, ...]) -> None:
        self._channel, far_end = socket.socketpair()
        with far_end:
            self._process = os.posix_spawn(
                sys.executable,
                [sys.executable, "-I", "-S", str(Path(__file__).with_name("serve.py"))],
                os.environ,
                file_actions=[(os.POSIX_SPAWN_DUP2, far_end.fileno(), 0)],
            )
        atexit.register(self._end)
        try:
            paths = tuple(path for path in sys.path if path)
            joins = namespace >= 0
            send(self._channel, WorkerSetup(paths, modules, joins))
            send_descriptors(self._channel, (namespace,) if joins else ())
            answer = receive(self._channel)
        except (EOFError, OSError):
            raise RuntimeHostError(_KILLED) from None
        if not isinstance(answer, WorkerReady):
            self._end()
            raise answer.error()
        self.namespace = answer.namespace

    def lives(self) -> bool:
        """Return whether the process is alive: the kernel closes its end of the socket when it ends."""
        poller = select.poll()
        poller.register(self._channel, 0)
        return not poller.poll(0)

    def hand_over(self, call: socket.socket) -> None:
        socket.send_fds(self._channel, [b"1"], [call.fileno()])

    def _end(self) -> None:
        """Close the socket, by which the worker ends, and reap it."""
        atexit.unregister(self._end)
        self._channel.close()
        os.waitpid(self._process, 0)
