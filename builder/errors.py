"""The builder's own failures. Mistakes of the user have a span; failures of the host keep the OSError as cause."""

from typing import TYPE_CHECKING

from pybuild.runtime.errors import kernel_reason

if TYPE_CHECKING:
    from pybuild.grammar.source import Source, Span


class PybuildError(Exception):
    """Base class of all failures that reach an embedding program. The message is lower case: what failed, then why.

    *hint* says what to do about it; it may be "". *span* is the place in the Dockerfile.
    """

    def __init__(self, message: str, *, hint: str = "", span: "Span | None" = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.span = span
        self.source: Source | None = None
        """The Dockerfile that the span, or the lines of a step, refer to."""

    @property
    def location(self) -> str:
        """The place in the Dockerfile, ``name:line:column`` or ``name:line``; "" when the failure has none."""
        if self.source is None or self.span is None:
            return ""
        line, column = self.source.position(self.span.start)
        return f"{self.source.name}:{line}:{column}"


class BuildError(PybuildError):
    """Base class of the builder's own failures."""


class RequestError(BuildError):
    """The request is invalid or cannot be met."""


class ResolveError(BuildError):
    """The Dockerfile cannot be resolved: unknown stage, missing build argument, bad platform."""


class StepFailed(BuildError):
    """A step ended without success. *exit_code* is the command's, None when no command ran."""

    def __init__(
        self,
        message: str,
        *,
        step: str,
        lines: tuple[int, int],
        exit_code: int | None = None,
        output: tuple[str, ...] = (),
        hint: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.step = step
        self.lines = lines
        """First and last line of the instruction in the Dockerfile, (0, 0) when there is none."""
        self.exit_code = exit_code
        self.output = output
        """The last lines that the step printed, each with its time: ``0.206 text``."""

    @property
    def location(self) -> str:
        """The place of the instruction, ``name:line``; "" when the step is not one of the Dockerfile."""
        return f"{self.source.name}:{self.lines[0]}" if self.source is not None and self.lines[0] else ""


def reason(error: BaseException) -> str:
    """Return the message of *error* for a user; that of an OSError has its files and its reason, but no errno."""
    if not isinstance(error, OSError):
        return str(error)
    names = " ".join(str(name) for name in (error.filename, error.filename2) if name is not None)
    text = kernel_reason(error)
    return f"{names}: {text}" if names else text


class PullFailed(BuildError):
    """A pull failed: a registry refused, lacks the image, or cannot be reached."""


class PushFailed(BuildError):
    """A push failed. The image stays in the store."""


class LoadFailed(BuildError):
    """Docker or podman did not take an image, or is not there. The image stays in the store."""


class StoreError(BuildError):
    """The store cannot be used: its disk is full or read-only, it is locked, or another program created it."""


class Cancelled(BuildError):
    """The build was interrupted."""


class TimedOut(BuildError):
    """The build took longer than its ``timeout``. *steps* are the names of those that were running then."""

    def __init__(self, message: str, *, steps: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.steps = steps
