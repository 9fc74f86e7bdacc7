"""What can go wrong with containers; the messages are Docker's, which scripts look for."""

from pybuild.builder.errors import BuildError


class ContainerError(BuildError):
    """A container cannot do, or be done to, what was asked for in the state that it is in."""


class NoSuchContainer(ContainerError):
    """No container has this name or id, or several ids begin so."""


class NameInUse(ContainerError):
    """Another container has the name."""


class NotStarted(ContainerError):
    """The process of a container cannot be executed; *code*: 127 not there, 126 not executable, else 128."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code

    @property
    def run_code(self) -> int:
        """How ``run`` ends with it."""
        return self.code if self.code in {126, 127} else 125


class NoSuchVolume(ContainerError):
    """No volume has this name."""
