"""The warnings of a build: in one block at its end, and as documents."""

from base64 import b64encode
from collections.abc import Iterable
from typing import Any

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


def document(warning: Warned) -> dict[str, Any]:
    """Return *warning* with the field names of BuildKit; a check of the Dockerfile has its description and address."""
    # Imported here: most builds write no documents.
    from pybuild.grammar.lint.rules import RULES

    name = warning.message.partition(":")[0]
    about = [{"detail": [_base64(rule.description)], "url": rule.url} for rule in RULES if rule.name == name]
    lines = {"start": {"line": warning.line}, "end": {"line": warning.line}}
    return {
        "level": 1,
        "short": _base64(warning.message + _place(warning)),
        **(about[0] if about else {}),
        **({"range": [lines]} if warning.line else {}),
    }


def _base64(text: str) -> str:
    return b64encode(text.encode(errors="replace")).decode()


def _place(warning: Warned) -> str:
    return f" (line {warning.line})" if warning.line else ""
