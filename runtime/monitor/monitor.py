"""The monitor of a container: starts its sandbox, writes its log, serves clients, records the end.

It has a session of its own and outlives the command that started it. While it holds the lock that it was given, only it
writes the state. When it ends, everything in the container ends.
"""

import os
import time

from pybuild.runtime.kernel.pidfd import number_of, send_signal, start_time
from pybuild.runtime.kernel.syscalls import SIGKILL
from pybuild.runtime.monitor import groups, messages
from pybuild.runtime.monitor.attempt import KILLED, Attempt, SandboxNeighbours
from pybuild.runtime.monitor.clients import DESCRIPTORS, Clients, MonitorClient
from pybuild.runtime.monitor.events import EventRecorder
from pybuild.runtime.monitor.exec_processes import Entries, fork_into
from pybuild.runtime.monitor.health import HealthCheck
from pybuild.runtime.monitor.log import JsonLog
from pybuild.runtime.monitor.loop import Loop
from pybuild.runtime.monitor.restarts import Restarts
from pybuild.runtime.monitor.settings import CHANNEL, LOCK, Health, MonitorSettings, Restart
from pybuild.runtime.monitor.state import NEVER, StateFile, timestamp
from pybuild.runtime.monitor.streams import Streams
from pybuild.runtime.records import decode, memory_file
from pybuild.runtime.sandbox.inside.plan import SandboxPlan


class Monitor:
    """One container, from its start to the end of its last run. All work is done by handlers of one event loop."""

    def __init__(self, settings: MonitorSettings) -> None:
        self._settings, identity = settings, settings.identity
        self._loop = Loop()
        self._directory = os.open(identity.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
        plan = decode(settings.run.plan)
        if not isinstance(plan, SandboxPlan):
            raise TypeError(type(plan))
        self._plan = plan
        self._plan_file = memory_file(settings.run.plan)
        self._log = JsonLog(self._directory, settings.streams.log.files, settings.streams.log.size)
        self._clients = Clients(self._loop, self._directory, self._handle, self._left, self._drain_again)
        self._starter = self._clients.add(CHANNEL)
        self._entries = Entries(self._loop)
        self._state = StateFile(identity.finished.decode())
        self._over = False
        self._restarts = Restarts(settings.restart)
        self._events = EventRecorder(identity.store, identity.directory, identity.actor)
        self._attempt: Attempt | None = None
        self._streams: Streams | None = None
        self._health: HealthCheck | None = None

    def run(self) -> None:
        """Serve until the container is not started again and its clients have received all messages."""
        self._start()
        while not self._over:
            self._loop.turn(self._patience())
            if self._health is not None:
                self._health.turn()
            if self._is_due():
                self._start()
        tidied = any(client.tidies for client in self._clients.everyone)
        self._log.end()
        # While the lock is held, since the next start makes groups of the same names.
        groups.remove(self._settings.run.cgroups)
        # From here on, the next process that takes the lock may write the state.
        os.close(LOCK)
        self._clients.close()
        while any(client.size for client in self._clients.everyone):
            self._loop.turn(None)
        if self._settings.afterwards and not tidied:
            os.execv(self._settings.afterwards[0], list(self._settings.afterwards))  # noqa: S606 - the command line that we were given

    def give_up(self, error: Exception) -> None:
        """Record that the monitor ends because of *error*, which is a bug."""
        self._state.status, self._state.exit_code = "exited", KILLED
        self._state.error = f"the monitor has a bug: {type(error).__name__}: {error}"
        self._write(sync=True)

    def _is_due(self) -> bool:
        return not self._over and self._attempt is None and self._patience() == 0

    def _patience(self) -> int | None:
        if self._attempt is None:
            return None if self._clients.hold() else self._restarts.milliseconds
        return None if self._health is None else self._health.milliseconds

    def _start(self) -> None:
        self._streams = Streams(self._loop, self._plan.settings.stdio, self._printed, self._drain_again)
        self._restarts.begin()
        around = SandboxNeighbours(self._settings.run, self._plan)
        self._attempt = Attempt(self._loop, self._plan_file, self._streams, self._started, self._ended, around=around)

    # What happens to the process.

    def _started(self, process: int) -> None:
        state, pid = self._state, number_of(process)
        state.status, state.pid, state.start_time = "running", pid, start_time(pid)
        state.exit_code, state.error, state.oom_killed = 0, "", False
        state.started = timestamp(time.time_ns())
        if isinstance(how := self._settings.run.health, Health):
            self._health = HealthCheck(self._loop, how, lambda fds: fork_into(self._plan, process, fds), self._checked)
        # Before STARTED is sent: the command may look at the state, or at the events, as soon as it has that.
        self._write(sync=False)
        self._events.record("start")
        self._starter.send(messages.STARTED)
        # Output is read from here on, so STARTED is the first message that the starter receives.
        self._drain_again()

    def _checked(self, health: dict[str, object]) -> None:
        if self._state.health is not None and self._state.health["Status"] != health["Status"]:
            self._events.record(f"health_status: {health['Status']}")
        self._state.health = health
        if self._state.status == "running":
            self._write(sync=False)

    def _printed(self, stream: int, data: bytes) -> None:
        self._log.write(stream, data)
        self._clients.broadcast((messages.OUT if stream == 1 else messages.ERR) + data)
        if self._clients.are_behind() and self._streams is not None:
            self._streams.show(wanted=False)  # the process has to wait when its pipe is full

    def _ended(self, code: int, error: str) -> None:
        state = self._state
        if self._health is not None:
            state.health = self._health.end()
        self._attempt = self._streams = self._health = None
        self._log.end()
        state.pid, state.start_time, state.exit_code, state.error = 0, 0, code, error
        state.oom_killed = groups.oom_kills(self._settings.run.cgroups) > 0
        if state.started == NEVER:
            self._over = True
            self._write(sync=True)
            self._starter.send(messages.REFUSED + f"{code} {error}".encode())
            return
        state.finished = timestamp(time.time_ns())
        if state.oom_killed:
            self._events.record("oom")
        self._events.record("die", exitCode=f"{code}")
        self._over = state.stopped or not self._restarts.wanted(code)
        state.status = "exited" if self._over else "restarting"
        state.restarts = self._restarts.count
        self._write(sync=True)
        for client in list(self._clients.everyone):
            client.send(messages.ENDED + str(code).encode())

    def _write(self, *, sync: bool) -> None:
        try:
            self._state.write(self._directory, sync=sync)
        except FileNotFoundError:  # the store was removed, so there is nothing to start again
            self._over = self._attempt is None
        except OSError:  # the disk is full: others still see by the lock whether the container runs
            return

    # What clients want.

    def _handle(self, client: MonitorClient, kind: bytes, text: bytes, fds: tuple[int, ...]) -> None:
        try:
            if kind == messages.EXECUTE:
                self._execute(client, fds)
            elif kind in {messages.SIGNAL, messages.STOP}:
                self._signal(client, kind, int(text))
            elif kind in {messages.FREEZE, messages.THAW}:
                self._freeze(client, frozen=kind == messages.FREEZE)
            elif kind in {messages.NAME, messages.UPDATE}:
                self._change(client, kind, text)
            else:
                self._converse(client, kind, text)
        except (OSError, ValueError) as error:
            client.send(messages.FAILED + (getattr(error, "strerror", None) or str(error)).lower().encode())
        finally:
            for fd in fds:
                os.close(fd)

    def _converse(self, client: MonitorClient, kind: bytes, text: bytes) -> None:
        streams = self._streams
        if kind == messages.ATTACH:
            client.attached, client.types = True, text == b"i"
        elif kind == messages.TIDIES:
            client.tidies = True
        elif kind == messages.HOLD:
            client.holds = True
        elif streams is None:
            return
        elif kind == messages.INPUT and client.types:
            streams.write(text)
            for other in self._clients.everyone:
                if other.types and streams.is_full:
                    other.read(wanted=False)
        elif kind == messages.END_INPUT and client.types:
            self._end_input()
        elif kind == messages.SIZE:
            rows, columns = map(int, text.split())
            streams.resize(rows, columns)

    def _end_input(self) -> None:
        if self._settings.streams.one_input and self._streams is not None:
            self._streams.end_input()

    def _drain_again(self) -> None:
        """Read clients and output again, where the process has taken its input, or the clients their messages."""
        if self._streams is None:
            return
        if not self._streams.is_full:
            for client in self._clients.everyone:
                client.read(wanted=True)
        self._streams.show(wanted=not self._clients.are_behind())

    def _left(self, client: MonitorClient) -> None:
        if client.types:
            self._end_input()
        self._drain_again()

    def _signal(self, client: MonitorClient, kind: bytes, number: int) -> None:
        if kind == messages.STOP:
            self._state.stopped = True
            if self._attempt is None:  # the pause before the next start, which is off now
                self._over = True
                self._state.status = "exited"
            self._write(sync=False)
        if (attempt := self._attempt) is not None and attempt.process >= 0 and number:
            send_signal(attempt.process, number)
            if number == SIGKILL:
                # In version 1, frozen processes do not even die.
                groups.freeze(self._settings.run.cgroups, frozen=False)
        client.send(messages.DONE)

    def _freeze(self, client: MonitorClient, *, frozen: bool) -> None:
        if self._attempt is None or not self._attempt.runs:  # one that is being made would never be complete
            client.send(messages.FAILED + b"the container is not running")
            return
        if not groups.freeze(self._settings.run.cgroups, frozen=frozen):
            client.send(messages.FAILED + b"this host has no control group that can be frozen")
            return
        self._state.status = "paused" if frozen else "running"
        self._write(sync=False)
        client.send(messages.DONE)

    def _change(self, client: MonitorClient, kind: bytes, text: bytes) -> None:
        if kind == messages.NAME:
            self._events.attributes["name"] = text.decode(errors="replace")
        else:
            most, _, policy = text.partition(b" ")
            self._restarts.change(Restart(int(most), policy))
        client.send(messages.DONE)

    def _execute(self, client: MonitorClient, fds: tuple[int, ...]) -> None:
        if self._attempt is None or not self._attempt.runs or len(fds) != DESCRIPTORS:
            client.send(str(3).encode())  # ESRCH; `fork_inside` takes an answer without a descriptor as a failure
            return
        client.send_descriptor(self._entries.fork(self._plan, self._attempt.process, fds))
