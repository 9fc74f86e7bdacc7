"""The builder's own failures. User mistakes carry a span, environment failures keep the OSError as their cause."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pybuild.grammar.source import Source, Span


class PybuildError(Exception):
    """Root of all failures that reach a program which embeds pybuild. The message is lower case: what failed, then why.

    *hint* says what to do about it, "" when there is nothing to say. *span* is the place in the Dockerfile.
    """

    def __init__(self, message: str, *, hint: str = "", span: "Span | None" = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.span = span
        self.source: Source | None = None
        """The Dockerfile that the span, or the lines of a step, are places of."""

    @property
    def location(self) -> str:
        """The place in the Dockerfile, ``name:line:column`` or ``name:line``; "" when the failure has none."""
        if self.source is None or self.span is None:
            return ""
        line, column = self.source.position(self.span.start)
        return f"{self.source.name}:{line}:{column}"


class BuildError(PybuildError):
    """Root of the builder's own failures."""


class RequestError(BuildError):
    """The command line asks the impossible."""


class ResolveError(BuildError):
    """The Dockerfile cannot mean anything: unknown stage, missing build argument, bad platform."""


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
        """The place of the instruction in the Dockerfile, ``name:line``; "" when it is none of it."""
        return f"{self.source.name}:{self.lines[0]}" if self.source is not None and self.lines[0] else ""


def reason(error: BaseException) -> str:
    """Return what *error* says to a user: of a failure of the system the files and the reason, without a number."""
    if not isinstance(error, OSError):
        return str(error)
    names = " ".join(str(name) for name in (error.filename, error.filename2) if name is not None)
    text = (error.strerror or str(error)).lower()
    return f"{names}: {text}" if names else text


class PullFailed(BuildError):
    """A registry did not give what it was asked for."""


class PushFailed(BuildError):
    """A registry did not take what it was to get. The image is in the store."""


class StoreError(BuildError):
    """The store cannot be used as it is: its disk is full or read-only, others hold it, another program made it."""


class Cancelled(BuildError):
    """The build was interrupted."""
