"""The records that commands send to a monitor: what container to supervise, and what to run inside.

They are in a module of their own, so that the commands need not import what carries them out.
"""

from pybuild.runtime.sandbox.inside.process import Process
from pybuild.runtime.wire import Record

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


class Health(Record):
    """A health check: an encoded `InsideCommand`, times in nanoseconds, and the failures in a row that are too many."""

    __slots__ = ("command", "interval", "retries", "start_interval", "start_period", "timeout")

    def __init__(  # noqa: PLR0917 - the wire passes slots by position
        self, command: bytes, interval: int, retries: int, start_interval: int, start_period: int, timeout: int
    ) -> None:
        self.command, self.interval, self.retries, self.timeout = command, interval, retries, timeout
        self.start_interval, self.start_period = start_interval, start_period


class WatchOrder(Record):
    """A container to supervise: its *directory*, the encoded *plan* of its sandbox, the directories of its *cgroups*.

    *store* is the directory with the log of events, and *actor* has the attributes of each event, as pairs of texts.

    *afterwards* is the command line that the monitor executes in place of itself at the end, () for none. *finished* is
    when the container last ended, as the state has it. *open_input* is whether the process reads what clients send (a
    monitor goes by the plan instead); with *one_input* only until the first client that sends input ends it or leaves.
    *health* is a `Health`, or () for no check. With *joins* the container joins the network namespace that
    `starting.leave_monitor` was given.
    """

    __slots__ = (
        "actor",
        "afterwards",
        "cgroups",
        "directory",
        "finished",
        "health",
        "joins",
        "log",
        "one_input",
        "open_input",
        "plan",
        "restart",
        "store",
    )

    def __init__(  # noqa: PLR0917 - the wire passes slots by position
        self,
        actor: tuple[tuple[bytes, bytes], ...],
        afterwards: tuple[bytes, ...],
        cgroups: tuple[bytes, ...],
        directory: bytes,
        finished: bytes,
        health: "Health | tuple[()]",
        joins: bool,
        log: LogFiles,
        one_input: bool,
        open_input: bool,
        plan: bytes,
        restart: Restart,
        store: bytes,
    ) -> None:
        self.actor, self.store = actor, store
        self.afterwards, self.cgroups, self.finished, self.directory = afterwards, cgroups, finished, directory
        self.health, self.joins = health, joins
        self.log, self.one_input, self.open_input = log, one_input, open_input
        self.plan, self.restart = plan, restart
