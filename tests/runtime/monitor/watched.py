"""A container without the builder: a directory, a lock, and a monitor that a test starts."""

import fcntl
import json
import os
import select
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pybuild.runtime.kernel.capabilities import DEFAULT
from pybuild.runtime.monitor import messages
from pybuild.runtime.monitor.settings import (
    ContainerIdentity,
    ContainerRun,
    ContainerStreams,
    Health,
    InsideCommand,
    LogFiles,
    MonitorSettings,
    Restart,
)
from pybuild.runtime.monitor.starting import (
    MonitorDescriptors,
    await_start,
    channel_pair,
    connected,
    fork_inside,
    launch_monitor,
)
from pybuild.runtime.records import encode
from pybuild.runtime.sandbox.child import Child
from pybuild.runtime.sandbox.inside.plan import NULL
from pybuild.runtime.sandbox.inside.privileges import Confinement
from pybuild.runtime.sandbox.inside.process import Process
from pybuild.runtime.sandbox.launcher import make_plan
from pybuild.runtime.sandbox.spec import Process as Program
from pybuild.runtime.sandbox.spec import Spec
from tests.helpers.waiting import PATIENCE, until
from tests.runtime.sandboxes import Image


def start_monitor(settings: MonitorSettings, lock: int) -> socket.socket:
    """Start a monitor with a new channel, and return this process's end of it."""
    ours, theirs = channel_pair()
    with theirs:
        try:
            launch_monitor(settings, MonitorDescriptors(channel=theirs.fileno(), lock=lock))
        except BaseException:
            ours.close()
            raise
    return ours


@dataclass
class Watched:
    """A container whose monitor was started."""

    directory: Path
    channel: socket.socket

    @property
    def state(self) -> dict[str, Any]:
        return json.loads((self.directory / "state.json").read_text())  # type: ignore[no-any-return]

    @property
    def printed(self) -> bytes:
        """All that was logged, in order."""
        lines = (self.directory / "json.log").read_text().splitlines()
        return b"".join(json.loads(line)["log"].encode("utf-8", "surrogateescape") for line in lines)

    @property
    def is_watched(self) -> bool:
        with (self.directory / "monitor").open("rb") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
            return False

    def until(self, **wanted: object) -> dict[str, Any]:
        """Wait until the state has these members."""

        def reached() -> dict[str, Any] | None:
            state = self.state if (self.directory / "state.json").exists() else {}
            return state if wanted.items() <= state.items() else None

        return until(reached)

    def until_printed(self, text: bytes) -> None:
        """Wait until *text* was logged and nothing else."""
        until(lambda: (self.directory / "json.log").exists() and self.printed == text)

    def until_left(self) -> None:
        until(lambda: not self.is_watched)

    def execute(self, *args: str, user: str = "", cwd: str = "/") -> tuple[int | None, bytes]:
        """Run a command inside; return its exit code and what it printed."""
        confinement = Confinement(
            capabilities=DEFAULT, insecure=False, no_new_privileges=False, rlimits=(), seccomp=b""
        )
        words = tuple(os.fsencode(arg) for arg in args)
        process = Process(words, confinement, cwd.encode(), ((b"PATH", b"/bin"),), user.encode())
        printed: list[bytes] = []
        with connected(self.directory) as channel:
            child = Child(
                encode(InsideCommand(privileged=False, process=process, stdio=NULL)),
                fork=lambda descriptors: fork_inside(channel, descriptors),
            )
            reports = child.run_to_end(lambda _, data: printed.append(data))
        failed = [report.message.encode() for report in reports if report.kind != "ended"]
        if failed:
            return None, b"".join(failed)
        return int(reports[-1].subject), b"".join(printed)


@contextmanager
def watched(
    image: Image,
    *args: str,
    restart: Restart | None = None,
    log: LogFiles | None = None,
    afterwards: tuple[bytes, ...] = (),
    started: bool = True,
    groups: tuple[Path, ...] = (),
    health: Health | tuple[()] = (),
    **options: Any,
) -> Iterator[Watched]:
    """Start a monitor of *args* in *image*; what is left at the end of the block is killed."""
    directory = image.directory / "container"
    directory.mkdir(exist_ok=True)
    process = {name: options.pop(name) for name in ("user", "cwd") if name in options}
    spec = Spec(root=image.root, process=Program(args=args, env=image.env, **process), **options)
    watch = MonitorSettings(
        afterwards=afterwards,
        identity=ContainerIdentity(
            actor=((b"image", b"box"), (b"name", b"c1")),
            directory=os.fsencode(directory),
            finished=b"0001-01-01T00:00:00Z",
            store=os.fsencode(image.directory),
        ),
        restart=restart or Restart(0, b"no"),
        run=ContainerRun(
            cgroups=tuple(map(os.fsencode, groups)),
            health=health,
            joins=(),
            plan=encode(make_plan(spec, tuple(os.fsencode(group / "cgroup.procs") for group in groups))),
        ),
        streams=ContainerStreams(log=log or LogFiles(1, 0), one_input=spec.interactive),
    )
    lock = os.open(directory / "monitor", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    channel = start_monitor(watch, lock)
    os.close(lock)
    it = Watched(directory, channel)
    try:
        if started:
            await_start(channel)
        yield it
    finally:
        stop(it)
        channel.close()
        it.until_left()


def stop(it: Watched) -> None:
    try:
        with connected(it.directory) as channel:
            channel.send(messages.STOP + b"9")
            channel.recv(100)
    except Exception:
        pass


def heard(channel: socket.socket, until: bytes = messages.ENDED) -> dict[bytes, bytes]:
    """What came over *channel* until a message of this kind, by kind."""
    found: dict[bytes, bytes] = {}
    poller = select.poll()
    poller.register(channel, select.POLLIN)
    while until not in found:
        assert poller.poll(PATIENCE * 1000), found
        message = channel.recv(messages.PIECE + 1)
        if not message:
            break
        found[message[:1]] = found.get(message[:1], b"") + message[1:]
    return found
