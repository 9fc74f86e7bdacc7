"""Values as Go prints them: image histories and a few config fields have the format of its fmt package."""

from collections.abc import Iterable

from pybuild.grammar.parse_go import quoted_char

_UNITS = ((3_600_000_000_000, "h"), (60_000_000_000, "m"))


def quoted(text: str) -> str:
    """Return *text* as ``%q`` prints it."""
    return '"' + "".join(map(quoted_char, text)) + '"'


def quoted_list(items: Iterable[str]) -> str:
    """Return *items* as ``%q`` prints a slice of strings."""
    return "[" + " ".join(quoted(item) for item in items) + "]"


def plain_list(items: Iterable[str]) -> str:
    """Return *items* as ``%v`` prints a slice of strings."""
    return "[" + " ".join(items) + "]"


def duration(nanoseconds: int) -> str:
    """Return a duration as time.Duration prints it: ``1h0m0s``, ``1.5s``, ``300ms``, ``0s``."""
    if nanoseconds < 0:
        return "-" + duration(-nanoseconds)
    if nanoseconds < 1_000_000_000:
        for unit, name in ((1_000_000, "ms"), (1_000, "µs"), (1, "ns")):
            if nanoseconds >= unit:
                return _decimal(nanoseconds, unit) + name
        return "0s"
    text, rest, shown = "", nanoseconds, False
    for unit, name in _UNITS:
        count, rest = divmod(rest, unit)
        shown = shown or count > 0
        text += f"{count}{name}" if shown else ""
    return text + _decimal(rest, 1_000_000_000) + "s"


def _decimal(value: int, unit: int) -> str:
    whole, rest = divmod(value, unit)
    digits = len(str(unit)) - 1
    fraction = f"{rest:0{digits}d}".rstrip("0") if digits else ""
    return f"{whole}.{fraction}" if fraction else str(whole)
