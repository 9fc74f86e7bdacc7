"""The records that the builder sends to the keeper of a chroot."""

from pybuild.runtime.records import Record
from pybuild.runtime.sandbox.inside.process import Process


class Hidden(Record):
    """The *content* of a secret, for which a file of its size with this *device* and *inode* stands in the tree."""

    __slots__ = ("content", "device", "inode")

    def __init__(self, content: bytes, device: int, inode: int) -> None:
        self.content, self.device, self.inode = content, device, inode


class HiddenFiles(Record):
    """The secrets of a step, for its opener.

    *filter* is the program of one more filter, which passes *calls* on to the opener: their numbers, each with the
    index of the path among the arguments.
    """

    __slots__ = ("calls", "filter", "hidden")

    def __init__(self, calls: tuple[tuple[int, int], ...], filter: bytes, hidden: tuple[Hidden, ...]) -> None:  # noqa: A002
        self.calls, self.filter, self.hidden = calls, filter, hidden


class ChrootPlan(Record):
    """What the keeper needs for one run.

    *root* is the directory that becomes the root, with everything in the place of mounts. *cgroups* are the
    ``cgroup.procs`` files to join. *mark* marks the processes of this run (`snapshots.process_marks`).
    *filter* is the program of a filter in addition to that of *process*. It leaves the *traced* calls to the keeper:
    each has its architecture and number, and the kind and index that `process_calls.decision` takes. *opening* is None
    for a step without secrets.
    """

    # In the order of the constructor.
    __slots__ = ("root", "cgroups", "mark", "filter", "traced", "process", "opening")  # noqa: RUF023

    def __init__(  # noqa: PLR0917 - the wire passes slots by position
        self,
        root: bytes,
        cgroups: tuple[bytes, ...],
        mark: int,
        filter: bytes,  # noqa: A002
        traced: tuple[tuple[int, int, int, int], ...],
        process: Process,
        opening: HiddenFiles | None = None,
    ) -> None:
        self.root, self.cgroups, self.mark, self.filter, self.traced = root, cgroups, mark, filter, traced
        self.process, self.opening = process, opening
