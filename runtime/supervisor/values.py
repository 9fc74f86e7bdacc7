"""What a supervisor is told before there is a step."""

from pybuild.runtime.wire import Record


class Supervision(Record):
    """How a step is supervised.

    *calls* are the (number, name) of what the filter *program* passes on; *own* is the filter of the supervisor itself.
    *special* are the (inode, time of birth in ns, uid, gid) of files below that can have no attribute. *upper* is the
    host's directory in which overlayfs keeps what the step changes, b"" when the root is no overlay. Of *capabilities*
    those count that the step is to have.
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
