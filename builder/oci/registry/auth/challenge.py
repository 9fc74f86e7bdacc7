"""Parsing the WWW-Authenticate header (RFC 9110, section 11.6.1)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

HEADER_LIMIT = 8192

_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
# Beyond the RFC, values without quotes may be URLs, and semicolons separate as commas do: some servers write so. The
# data of Negotiate, which may end in "=", is read as an unknown scheme.
# One step through the header: a parameter, or else a word that starts a challenge. Both start with a word and each
# position is tried once, so the time is linear in the length.
_PARAMETER = rf'(?P<key>{_WORD})[ \t]*=[ \t]*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>[^\s,;"]+))'
_STEP = re.compile(rf"[\s,;=]*(?:{_PARAMETER}|(?P<scheme>{_WORD}))")


@dataclass(frozen=True, slots=True)
class Challenge:
    """One authentication scheme; *scheme* and the names of its parameters are in lower case."""

    scheme: str
    parameters: Mapping[str, str]


def parse_challenges(header: str) -> tuple[Challenge, ...]:
    """Return the challenges of a header, as far as they can be parsed; never raises."""
    found: list[tuple[str, dict[str, str]]] = []
    position = 0
    header = header[:HEADER_LIMIT]
    while match := _STEP.match(header, position):
        position = match.end()
        if match["scheme"]:
            found.append((match["scheme"].lower(), {}))
        elif found:
            quoted = match["quoted"]
            value = match["plain"] if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
            found[-1][1].setdefault(match["key"].lower(), value)
    return tuple(Challenge(scheme, parameters) for scheme, parameters in found)
