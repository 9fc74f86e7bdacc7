"""Signals by their names and numbers, as Docker takes them."""

import signal

from pybuild.builder.errors import RequestError
from pybuild.builder.options import whole_number

# The highest signal of Linux, but for MIPS, which has 127.
_MOST = 64


def signal_number(text: str) -> int:
    """Return the number of ``TERM``, ``SIGTERM``, ``sigterm`` or ``15``. Raises RequestError."""
    if text.isascii() and text.isdigit():
        if number := whole_number(text, _MOST):
            return number
        raise RequestError(f"invalid signal: {text}")
    name = text.upper().removeprefix("SIG")
    if name.startswith(("RTMIN", "RTMAX")):
        return _real_time(name, text)
    try:
        return int(signal.Signals[f"SIG{name}"])
    except KeyError:
        raise RequestError(f"invalid signal: {text}", hint="use a name such as TERM, or a number") from None


def _real_time(name: str, text: str) -> int:
    base = signal.SIGRTMIN if name.startswith("RTMIN") else signal.SIGRTMAX
    distance = name[len("RTMIN") :] or "+0"
    try:
        number = int(base) + int(distance)
    except ValueError:
        number = 0
    if not signal.SIGRTMIN <= number <= signal.SIGRTMAX:
        raise RequestError(f"invalid signal: {text}")
    return number
