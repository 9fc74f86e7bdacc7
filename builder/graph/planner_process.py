"""Another process that parses and makes the graph, while this one imports what else a build needs.

Threads would not help, because each import holds the interpreter's lock. So a fork of this process imports lark,
parses, and sends back the syntax tree. Then it imports networkx, gets the stages, makes the graph, and sends back the
plan. As nothing else runs there, it imports only the parts of networkx that the graph uses, in less than half of the
time.
"""

import gc
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from importlib import import_module
from select import POLLIN, poll
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Any, Self

from pybuild.builder.plan.plan import BasePin, Definition, Plan

if TYPE_CHECKING:  # these are a part of what is imported while the other process runs
    from pybuild.builder.plan.ops import Git, Http
    from pybuild.builder.sources.address import RemoteSource
    from pybuild.builder.stages.stages import Stages


_UNUSED = ("algorithms", "convert_matrix", "drawing", "generators", "linalg", "readwrite", "relabel")
"""Subpackages and modules of networkx that a graph, its ancestors and its order do not need, but for a few modules."""

PRELOAD = (
    "pybuild.builder.execute.ops",
    "pybuild.builder.solve.schedule",
    "pybuild.builder.solve.executing",
    "pybuild.builder.execute.copy",
    "pybuild.builder.store.layer_times",
    "pybuild.builder.execute.run",
    "pybuild.builder.store.unpacking",
    "pybuild.runtime.sandbox.forkserver_client",
    "pybuild.runtime.sandbox.launcher",
)
"""The modules that most steps are executed with: a build imports them while the other process makes a new plan."""


def preparations(text: str) -> Iterator[Callable[[], object]]:
    """Yield what prepares this process, one after the other, for executing the steps of a Dockerfile."""
    yield from (partial(import_module, name) for name in PRELOAD)
    # The layer of each RUN may be in the cache: then the fork server was started in vain.
    if any(line.split(None, 1)[:1] == ["RUN"] for line in text.upper().splitlines()):
        yield _start_fork_server


def _start_fork_server() -> None:
    from pybuild.runtime.errors import SandboxError
    from pybuild.runtime.sandbox.forkserver_client import start
    from pybuild.runtime.sandbox.isolation import is_direct

    if is_direct():
        with suppress(SandboxError):  # the first RUN reports it
            start()


class GraphProcess:
    """Parses a Dockerfile and makes the plans of a build, in another process where that saves time.

    A context manager, which ends the process.
    """

    was_started = False
    """Whether this program has had one. Its next build imports lark and networkx here, for all later ones."""

    def __init__(self, meanwhile: Iterable[Callable[[], object]] = ()) -> None:
        """The functions *meanwhile* are called as long as this process has to wait for the other one."""
        self._meanwhile = iter(meanwhile)
        self._channel: socket.socket | None = None
        self._child = self._pidfd = -1
        self._unparsed: Definition | None = None
        """What the process parses, until that is taken over."""

    def __enter__(self) -> Self:
        return self

    def start(self, definition: Definition) -> None:
        """Start the process, if that saves time and it does not run. It begins to parse *definition*."""
        if self._channel is not None or not _saves_time():
            return
        ours, theirs = socket.socketpair()
        try:
            self._child = os.fork()
        except OSError:  # too many processes
            ours.close()
            theirs.close()
            return
        if self._child == 0:
            try:
                _serve(ours, theirs, definition)
            finally:
                # Not sys.exit: exit handlers and the buffers of streams belong to the other process.
                os._exit(1)
        GraphProcess.was_started = True
        self._unparsed = definition
        self._channel = ours
        theirs.close()
        with suppress(OSError):  # Linux before 5.3, which has no pidfd: the process ends a moment later, by itself
            # The program may reap its children itself, and then the number may be another process's.
            self._pidfd = os.pidfd_open(self._child)

    def parse(self) -> None:
        """Take over what the process has parsed. Without a process, the definition is parsed at its first use."""
        definition = self._unparsed
        if self._channel is None or definition is None:
            return
        with suppress(OSError, EOFError):
            dockerfile, mistake = self._answer(self._channel)
            self._unparsed = None
            definition.set_parsed(dockerfile, None if mistake is None else mistake.error())

    def plan(
        self,
        stages: "Stages",
        pins: Mapping[str, BasePin],
        fetches: "Mapping[RemoteSource, Http | Git]",
    ) -> Plan:
        """Return what `graph.graph.plan` returns. This process calls it when there is no other, or that has failed."""
        self.parse()
        with suppress(OSError, EOFError):
            if self._channel is not None:
                from pybuild.runtime.worker.messages import send

                send(self._channel, (stages, pins, fetches))
                plan: Plan = self._answer(self._channel)
                return plan
        from pybuild.builder.graph.graph import plan as plan_here

        return plan_here(stages, pins, fetches)

    def _answer(self, channel: socket.socket) -> Any:
        from pybuild.runtime.worker.messages import receive

        while not _is_readable(channel) and (prepare := next(self._meanwhile, None)):
            prepare()
        return receive(channel)

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if self._channel is not None:
            self._channel.close()
            if self._pidfd >= 0:
                with suppress(ProcessLookupError):
                    signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
                os.close(self._pidfd)
            with suppress(ChildProcessError):  # a program that uses the library may wait for all of its children
                os.waitpid(self._child, 0)


def _is_readable(channel: socket.socket) -> bool:
    poller = poll()  # not select(2), which takes no number above 1023
    poller.register(channel, POLLIN)
    return bool(poller.poll(0))


def _saves_time() -> bool:
    """Return whether networkx is not imported yet, and this process may be forked: it has one thread."""
    if GraphProcess.was_started or "networkx" in sys.modules:
        return False
    # Threads that Python does not know count, too: a lock that one of them holds is never released in a fork.
    return len(os.listdir("/proc/self/task")) == 1


def _serve(parents: socket.socket, channel: socket.socket, definition: Definition) -> None:
    """Parse, and make graphs until the other process closes its end of *channel* or is gone. Ends with an exception."""
    # The handlers end the build of the other process. What that ignores, as under nohup, stays ignored.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    # A collection could close a file of the other process, by a number that is that of another file here.
    gc.disable()
    parents.detach()
    # A copy of a descriptor would hold the lock of its file (flock(2)), and keep a pipe open.
    os.closerange(3, channel.fileno())
    os.closerange(channel.fileno() + 1, os.sysconf("SC_OPEN_MAX"))
    from pybuild.runtime.worker.messages import WorkerFailure, receive, send

    dockerfile, mistake = definition.parsed_prefix()
    send(channel, (dockerfile, None if mistake is None else WorkerFailure.of(mistake)))
    _import_part_of_networkx()
    from pybuild.builder.graph.graph import plan

    while True:
        send(channel, plan(*receive(channel)))


def _import_part_of_networkx() -> None:
    """Import networkx with empty modules in place of those that are not used.

    Should another version of networkx need one of them, this process ends, and the build makes the graph itself.
    """
    if "networkx" in sys.modules:
        return
    from importlib.util import find_spec

    # networkx asks the metadata of all installed packages whether they replace its functions, which takes as long as
    # all else. None may.
    metadata = ModuleType("importlib.metadata")
    vars(metadata)["entry_points"] = lambda group: ()  # noqa: ARG005 - its name
    sys.modules[metadata.__name__] = metadata
    spec = find_spec("networkx")
    for name in _UNUSED:
        empty = ModuleType(f"networkx.{name}")
        empty.__path__ = [os.path.join(at, name) for at in spec.submodule_search_locations or ()] if spec else []
        sys.modules[empty.__name__] = empty
    import networkx as nx
    from networkx.algorithms import dag
    from networkx.algorithms.traversal import breadth_first_search

    for module in (dag, breadth_first_search):
        vars(nx).update((name, getattr(module, name)) for name in module.__all__)
