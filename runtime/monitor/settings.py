"""The records that commands send to a monitor: what container to supervise, and what to run inside.

They are in a module of their own, so that the commands need not import what carries them out.
"""

from pybuild.runtime.records import Record
from pybuild.runtime.sandbox.inside.process import Process

CHANNEL, SETTINGS, LOCK, NETWORK, LIFELINE, OWNERS = 3, 4, 5, 6, 7, 8
"""The descriptors of a monitor: the channel to the command that started it, its `MonitorSettings`, its lock, the
network namespace that its container joins, if any, a descriptor whose closing ends a private network, and from OWNERS
on the pidfds of containers whose other namespaces are joined, in the order of `namespaces.JOINABLE`."""
NEVER, ON_FAILURE, ALWAYS, UNLESS_STOPPED = b"no", b"on-failure", b"always", b"unless-stopped"
"""The restart policies."""


class InsideCommand(Record):
    """A process to run inside. Unless *privileged*, it gets the container's confinement in place of its own.

    ``no_new_privileges`` is always that of the container. *stdio* says what standard input is, as in `streams`.
    """

    __slots__ = ("privileged", "process", "stdio")

    def __init__(self, privileged: bool, process: Process, stdio: bytes) -> None:
        self.privileged, self.process, self.stdio = privileged, process, stdio


class Restart(Record):
    """When the container is started again: a *policy*, and for ON_FAILURE how often at *most*, 0 for no limit."""

    __slots__ = ("most", "policy")

    def __init__(self, most: int, policy: bytes) -> None:
        self.most, self.policy = most, policy


class LogFiles(Record):
    """How the output is logged: in *files* files of *size* bytes (0 for no limit), or not at all when *files* is 0."""

    __slots__ = ("files", "size")

    def __init__(self, files: int, size: int) -> None:
        self.files, self.size = files, size


class HealthTimes(Record):
    """The times of a health check, in nanoseconds; until *start_period* after the start a failure does not count."""

    __slots__ = ("interval", "start_interval", "start_period", "timeout")

    def __init__(self, interval: int, start_interval: int, start_period: int, timeout: int) -> None:
        self.interval, self.start_interval = interval, start_interval
        self.start_period, self.timeout = start_period, timeout


class Health(Record):
    """A health check: an encoded `InsideCommand`, and the failures in a row that are too many."""

    __slots__ = ("command", "retries", "times")

    def __init__(self, command: bytes, retries: int, times: HealthTimes) -> None:
        self.command, self.retries, self.times = command, retries, times


class ContainerIdentity(Record):
    """Which container it is: its *directory*, and the *store* with the log of events.

    *actor* has the attributes of each event, as pairs of texts. *finished* is when the container last ended, as the
    state has it.
    """

    __slots__ = ("actor", "directory", "finished", "store")

    def __init__(self, actor: tuple[tuple[bytes, bytes], ...], directory: bytes, finished: bytes, store: bytes) -> None:
        self.actor, self.directory, self.finished, self.store = actor, directory, finished, store


class ContainerStreams(Record):
    """How the output is logged. With *one_input* input ends when the first client that sends some ends it or leaves."""

    __slots__ = ("log", "one_input")

    def __init__(self, log: LogFiles, one_input: bool) -> None:
        self.log, self.one_input = log, one_input


class ContainerRun(Record):
    """What each run of the container is made of: the encoded *plan* of its sandbox, the directories of its *cgroups*.

    *health* is a `Health`, or () for no check. *joins* are the namespaces that the container joins, by the names in
    `namespaces.JOINABLE`: `starting.launch_monitor` was given descriptors of them.
    """

    __slots__ = ("cgroups", "health", "joins", "plan")

    def __init__(
        self, cgroups: tuple[bytes, ...], health: "Health | tuple[()]", joins: tuple[bytes, ...], plan: bytes
    ) -> None:
        self.cgroups, self.health, self.joins, self.plan = cgroups, health, joins, plan


class MonitorSettings(Record):
    """A container to supervise.

    *afterwards* is the command line that the monitor executes in place of itself at the end, () for none.
    """

    __slots__ = ("afterwards", "identity", "restart", "run", "streams")

    def __init__(
        self,
        afterwards: tuple[bytes, ...],
        identity: ContainerIdentity,
        restart: Restart,
        run: ContainerRun,
        streams: ContainerStreams,
    ) -> None:
        self.afterwards, self.identity, self.restart = afterwards, identity, restart
        self.run, self.streams = run, streams
