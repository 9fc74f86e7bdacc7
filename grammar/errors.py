"""The error of this package: a mistake in a Dockerfile."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pybuild.grammar.source import Source, Span

_LONGEST = 1000


class DockerfileError(Exception):
    """A mistake in a Dockerfile, with its span and, if one is known, a hint.

    The message is lower case and complete without the excerpt. The span is None for a mistake of the whole file.
    """

    def __init__(self, message: str, span: "Span | None" = None, hint: str = "") -> None:
        # A message may quote text of the user of any length.
        self.message = message if len(message) <= _LONGEST else message[:_LONGEST] + "..."
        super().__init__(self.message)
        self.span = span
        self.hint = hint
        self.source: Source | None = None
        """The text that the span refers to, if it is known."""

    def render(self, source: "Source") -> str:
        """Return ``name:line:column: message``, the excerpt with a marker, and the hint."""
        if self.span is None:
            place, excerpt = source.name, ""
        else:
            line, column = source.position(self.span.start)
            place, excerpt = f"{source.name}:{line}:{column}", "\n" + source.excerpt(self.span)
        hint = f"\nhint: {self.hint}" if self.hint else ""
        return f"{place}: {self.message}{excerpt}{hint}"
