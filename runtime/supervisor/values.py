"""The settings that a supervisor gets when it is started, before its step."""

from pybuild.runtime.records import Record


class Supervision(Record):
    """How a step is supervised.

    *program* is the filter of the step, *calls* are the (number, name) of the calls that it passes on; *own* is the
    filter of the supervisor itself. *special* are the owners of files in lower layers that can have no extended
    attribute: (inode, time of birth in ns, uid, gid). *upper* is the path of the overlay's upper directory on the host,
    b"" if the root is no overlay. *capabilities* are those of the step.
    """

    __slots__ = ("calls", "capabilities", "own", "program", "special", "upper")

    def __init__(  # noqa: PLR0917 - the wire passes slots by position
        self,
        calls: tuple[tuple[int, bytes], ...],
        capabilities: int,
        own: bytes,
        program: bytes,
        special: tuple[tuple[int, int, int, int], ...],
        upper: bytes,
    ) -> None:
        self.calls, self.capabilities, self.own, self.program = calls, capabilities, own, program
        self.special, self.upper = special, upper
