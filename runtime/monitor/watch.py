"""The orders of a monitor: the plan of the container's sandbox and what to do around it; what to run inside.

Apart from what carries them out, so that commands which only send them load little.
"""

from pybuild.runtime.sandbox.inside.process import Process
from pybuild.runtime.wire import Record

NEVER, ON_FAILURE, ALWAYS, UNLESS_STOPPED = b"no", b"on-failure", b"always", b"unless-stopped"
"""The restart policies."""


class InsideCommand(Record):
    """What to run inside. Its confinement is that of the container, whatever is asked, unless it is *privileged*.

    No process of a container without new privileges has any.
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
    """Where the output goes: to *files* files of *size* bytes (0 for no limit), or nowhere when *files* is 0."""

    __slots__ = ("files", "size")

    def __init__(self, files: int, size: int) -> None:
        self.files, self.size = files, size


class Health(Record):
    """A health check: an encoded `InsideCommand`, times in nanoseconds, and how many failures in a row count."""

    __slots__ = ("command", "interval", "retries", "start_interval", "start_period", "timeout")

    def __init__(  # noqa: PLR0917 - the wire passes slots by position
        self, command: bytes, interval: int, retries: int, start_interval: int, start_period: int, timeout: int
    ) -> None:
        self.command, self.interval, self.retries, self.timeout = command, interval, retries, timeout
        self.start_interval, self.start_period = start_interval, start_period


class WatchOrder(Record):
    """A container: its directory, the directories of its control groups, its log, its input and its end.

    *store* is the directory with the log of events, and *actor* what each event says of the container: pairs of texts.

    *afterwards* is the command line to become when all is over, () for none. *finished* is the time of the last end,
    as the state has it. With *open_input* the process reads what clients send, with *one_input* until the first of
    them leaves. *health* is a `Health`, or (). With *joins* the container is in a network namespace
    that was handed over.
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
