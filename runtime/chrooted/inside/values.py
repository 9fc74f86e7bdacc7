"""What the builder hands to the keeper of a chroot."""

from pybuild.runtime.sandbox.inside.process import Process
from pybuild.runtime.wire import Record


class Hidden(Record):
    """Content for the file of this *device* and *inode*, which must not be on a disk."""

    __slots__ = ("content", "device", "inode")

    def __init__(self, content: bytes, device: int, inode: int) -> None:
        self.content, self.device, self.inode = content, device, inode


class HiddenFiles(Record):
    """What is handed out to who opens something: *hidden*.

    *filter* is a program beside all others that passes on *calls*: numbers, each with the place of its path.
    """

    __slots__ = ("calls", "filter", "hidden")

    def __init__(self, calls: tuple[tuple[int, int], ...], filter: bytes, hidden: tuple[Hidden, ...]) -> None:  # noqa: A002
        self.calls, self.filter, self.hidden = calls, filter, hidden


class ChrootPlan(Record):
    """All that the keeper needs.

    *root* is the directory to become the root, in which everything is placed already. *cgroups* are the
    ``cgroup.procs`` files to join. *mark* is a number by which processes of this run are known (`leftovers`).
    *filter* is a program beside that of *process*, which leaves some calls to the keeper. *opening* is None where
    nothing is handed out.
    """

    # In the order of the constructor.
    __slots__ = ("root", "cgroups", "mark", "filter", "process", "opening")  # noqa: RUF023

    def __init__(  # noqa: PLR0917 - the wire passes slots by position
        self,
        root: bytes,
        cgroups: tuple[bytes, ...],
        mark: int,
        filter: bytes,  # noqa: A002
        process: Process,
        opening: HiddenFiles | None = None,
    ) -> None:
        self.root, self.cgroups, self.mark, self.filter, self.process = root, cgroups, mark, filter, process
        self.opening = opening
