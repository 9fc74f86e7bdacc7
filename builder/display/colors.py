"""Colours of the live view: BuildKit's defaults, its BUILDKIT_COLORS, and NO_COLOR."""

import re
from collections.abc import Mapping

from pybuild.runtime.values import frozen, replace

RESET = "\x1b[0m"
FAINT = "\x1b[2m"

_NAMES = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")
_RGB = re.compile(r"(\d{1,3}),(\d{1,3}),(\d{1,3})\Z")


@frozen
class Colors:
    """The escape sequence that starts each kind of line; "" for the terminal's own colour."""

    run: str = "\x1b[34m"
    cancel: str = "\x1b[33m"
    warning: str = "\x1b[33m"
    error: str = "\x1b[31m"
    faint: str = FAINT

    def paint(self, text: str, code: str) -> str:
        """Return *text* in the colour *code*."""
        return f"{code}{text}{RESET}" if code else text


NO_COLORS = Colors(run="", cancel="", warning="", error="", faint="")


def colors_from(env: Mapping[str, str]) -> Colors:
    """Return the colours that *env* asks for; entries of BUILDKIT_COLORS that mean nothing are passed over."""
    if env.get("NO_COLOR"):
        return NO_COLORS
    colors = Colors()
    for entry in env.get("BUILDKIT_COLORS", "").split(":"):
        kind, _, value = entry.partition("=")
        code = _code(value.strip().lower())
        if code:
            colors = _with(colors, kind.strip().lower(), code)
    return colors


def _with(colors: Colors, kind: str, code: str) -> Colors:
    match kind:
        case "run":
            return replace(colors, run=code)
        case "cancel":
            return replace(colors, cancel=code)
        case "warning":
            return replace(colors, warning=code)
        case "error":
            return replace(colors, error=code)
        case _:
            return colors


def _code(value: str) -> str:
    rgb = _RGB.match(value)
    if rgb:
        red, green, blue = (min(255, int(part)) for part in rgb.groups())
        return f"\x1b[38;2;{red};{green};{blue}m"
    base, name = (90, value[6:]) if value.startswith("light-") else (30, value)
    return f"\x1b[{base + _NAMES.index(name)}m" if name in _NAMES else ""
