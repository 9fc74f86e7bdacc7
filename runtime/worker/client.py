"""The builder's side of the worker: started when it is first needed, and asked to call functions.

A program with threads cannot enter a user namespace, and one that entered could not leave: so a process of its own
does, started from its file, never forked from the builder.
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
    here,
    peer_is_gone,
    receive,
    send,
    send_descriptors,
)

Listener = Callable[[Any], None]
_LOCK = threading.Lock()
_Place = tuple[int, int] | None
"""The user namespace that a worker was to join, None for one that makes its own."""
_WORKERS: dict[tuple[int, _Place], "_Worker"] = {}
_WAKE_UP_MS = 200  # how late a call is stopped: no signal wakes a thread that waits for the worker
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

    *function* is one of a module, and has *descriptors* of this process under the same numbers; arguments, events and
    the result cross as copies. Its events are passed to *listener*, in this thread. When this is interrupted or
    stopped (`runtime.stopping`), so is *function*, which is waited for. May be called by several threads at once.
    *namespace* is an open user namespace to be root of, -1 for one of this process's own. A worker that is started for
    it loads *modules* first, so that later calls have them.

    Raises:
        SandboxUnavailable: this host does not permit it.
        RuntimeHostError: the worker was killed.
        Exception: what *function* raises.
    """
    near, far = socket.socketpair()
    with near:
        with far:
            _worker(namespace, modules).hand_over(far)
        send(near, WorkerCall(function, arguments, descriptors, *here()))
        send_descriptors(near, descriptors)
        try:
            return _answer(near, listener, check)
        except BaseException:
            near.shutdown(socket.SHUT_WR)
            _drain(near, listener)
            raise


def start(modules: tuple[str, ...] = ()) -> None:
    """Start the worker, when it is not there, and have it load *modules* while the caller continues.

    Raises SandboxUnavailable when this host does not permit it.
    """
    _worker(-1, modules)


def _answer(channel: socket.socket, listener: Listener, look_up: Callable[[], None]) -> Any:
    """Pass on events until the answer comes, and return it."""
    poller = select.poll()
    poller.register(channel, select.POLLIN)
    while True:
        while not poller.poll(_WAKE_UP_MS):
            look_up()
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
    """Wait for the end of a call whose answer nobody wants."""
    # It answers that it was interrupted. A message that was read in part when this was interrupted cannot be decoded.
    with suppress(BaseException):
        _answer(channel, listener, _nothing)
    with suppress(OSError):
        while channel.recv(1 << 16):
            pass


def _nothing() -> None:
    """Continue to wait."""


def _worker(namespace: int, modules: tuple[str, ...]) -> "_Worker":
    # A builder that was itself forked has a worker of its own: the other one belongs to its parent.
    own = os.getpid()
    place = None if namespace < 0 else identity(namespace)
    with _LOCK:
        for key in ((own, place), (own, None)):
            worker = _WORKERS.get(key)
            if worker is not None and worker.lives() and place in {None, worker.place}:
                return worker
        worker = _WORKERS[own, place] = _Worker(namespace, modules)
        return worker


class _Worker:
    """The process and the socket to it. *place* is the user namespace that it is in."""

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
        self.place = answer.namespace

    def lives(self) -> bool:
        """Return whether the process is alive; one that was killed has closed its end."""
        poller = select.poll()
        poller.register(self._channel, 0)
        return not poller.poll(0)

    def hand_over(self, call: socket.socket) -> None:
        socket.send_fds(self._channel, [b"1"], [call.fileno()])

    def _end(self) -> None:
        """Let the worker end, which it does when nobody can call it any more, and reap it."""
        atexit.unregister(self._end)
        self._channel.close()
        os.waitpid(self._process, 0)
