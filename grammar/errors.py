"""The one error of this package: something that the user wrote is not a Dockerfile."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pybuild.grammar.source import Source, Span

_LONGEST = 1000


class DockerfileError(Exception):
    """A mistake in a Dockerfile, with its place and, where one is known, the hint.

    The message is lower case and complete without the excerpt; the span may be None when the whole file is meant.
    """

    def __init__(self, message: str, span: "Span | None" = None, hint: str = "") -> None:
        # What the user wrote may be quoted in a message, however long it is.
        self.message = message if len(message) <= _LONGEST else message[:_LONGEST] + "..."
        super().__init__(self.message)
        self.span = span
        self.hint = hint
        self.source: Source | None = None
        """The text that the span is a place of, when whoever passed the error on knew it."""

    def render(self, source: "Source") -> str:
        """Return ``name:line:column: message``, the excerpt with a marker, and the hint."""
        if self.span is None:
            place, excerpt = source.name, ""
        else:
            line, column = source.position(self.span.start)
            place, excerpt = f"{source.name}:{line}:{column}", "\n" + source.excerpt(self.span)
        hint = f"\nhint: {self.hint}" if self.hint else ""
        return f"{place}: {self.message}{excerpt}{hint}"
