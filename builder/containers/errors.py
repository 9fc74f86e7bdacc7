"""Errors about containers. The messages are Docker's, because scripts look for them."""

from pybuild.builder.errors import BuildError


class ContainerError(BuildError):
    """The operation is not possible in the state that the container is in."""


class NoSuchContainer(ContainerError):
    """No container has this name or id, or several ids begin so."""


class NameInUse(ContainerError):
    """Another container has the name."""


class NotStarted(ContainerError):
    """The process cannot be executed. *code* is 127 when it is missing, 126 when it is not executable, else 128."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code

    @property
    def run_code(self) -> int:
        """The exit code of ``run``."""
        return self.code if self.code in {126, 127} else 125


class NoSuchVolume(ContainerError):
    """No volume has this name."""


class NoTerminal(ContainerError):
    """A terminal is to be typed into, and standard input is none."""

    run_code = 1

    def __init__(self) -> None:
        super().__init__("the input device is not a TTY", hint="leave out -t")
