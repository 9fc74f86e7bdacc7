"""The warnings of a build, in one block at its end."""

from collections.abc import Iterable

from pybuild.builder.display.sanitize import clean_line
from pybuild.builder.progress import Warned


def summary(warnings: Iterable[Warned]) -> str:
    """Return the block that lists *warnings*, each once, in the order of the Dockerfile; "" when there are none."""
    unique = sorted(dict.fromkeys(warnings), key=lambda warning: warning.line)
    if not unique:
        return ""
    count = f"{len(unique)} warning" + ("s" if len(unique) > 1 else "")
    lines = [f" - {clean_line(warning.message)}{_place(warning)}" for warning in unique]
    return "\n".join(["", f" {count} found:", *lines, ""])


def _place(warning: Warned) -> str:
    return f" (line {warning.line})" if warning.line else ""
