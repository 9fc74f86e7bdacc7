"""Small notations that are inherited from Go: white space, quoting, booleans, numbers, durations, sizes, addresses.

Each function accepts exactly what Docker's builder accepts and raises ValueError with Go's text.
"""

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv6Address

SPACE = "\t\n\v\f\r \x85\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000"
"""What Go calls a space; `str.strip` and `\\s` of Python also take the separators 0x1c to 0x1f."""

_SHORT = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"} | {
    '"': '\\"',
    "\\": "\\\\",
}
_QUOTED_LENGTH = 200

_BOOLEANS = dict.fromkeys(("1", "t", "T", "true", "TRUE", "True"), True) | dict.fromkeys(
    ("0", "f", "F", "false", "FALSE", "False"), False
)

_UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6}  # Go accepts both signs for micro
_UNITS |= {"s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
# These are compiled by `re` when they are first used.
_DURATION_PART = r"(?a)(\d*)(?:\.(\d*))?([^\d.]*)"
# Go counts durations as 64-bit nanoseconds.
_LONGEST_DURATION = 2**63 - 1
# No duration or size needs more digits, and int() raises its own error for thousands of them.
_LONGEST_TEXT = 64

# As the module docker/go-units reads it, for which "64m", "64mb" and "64MiB" are the same.
_SIZE = r"(?ai)(\d+(?:\.\d+)?) ?([kmgtp]?)i?b?"
_DIGITS = {8: r"[0-7]{1,12}", 10: r"[0-9]{1,12}"}


def quote(text: str) -> str:
    """Return *text* as Go prints it with ``%q``; a very long one is truncated, because it is only used in messages."""
    shown, dots = (text, "") if len(text) <= _QUOTED_LENGTH else (text[:_QUOTED_LENGTH], "...")
    return '"' + "".join(map(quoted_char, shown)) + dots + '"'


def quoted_char(char: str) -> str:
    """Return *char* as it is in ``%q``. A byte that is not UTF-8, as `os.fsdecode` returns it, is shown as a byte."""
    if char in _SHORT:
        return _SHORT[char]
    # As strconv.IsPrint of Go, which decides what %q escapes.
    if char.isprintable():
        return char
    code = ord(char)
    if code < 0x80 or 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code & 0xFF:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def parse_bool(text: str) -> bool:
    """Parse ``true``, ``T``, ``1`` and their opposites."""
    if text not in _BOOLEANS:
        raise ValueError(f"strconv.ParseBool: parsing {quote(text)}: invalid syntax")
    return _BOOLEANS[text]


def parse_uint32(text: str, base: int) -> int:
    """Parse an unsigned number of 32 bits, written in *base* 8 or 10 without a prefix."""
    if not re.fullmatch(_DIGITS[base], text):
        raise ValueError(f"strconv.ParseUint: parsing {quote(text)}: invalid syntax")
    if (number := int(text, base)) >= 2**32:
        raise ValueError(f"strconv.ParseUint: parsing {quote(text)}: value out of range")
    return number


def parse_int32(text: str) -> int:
    """Parse a signed decimal number of 32 bits."""
    if not re.fullmatch(r"[+-]?[0-9]{1,12}", text):
        raise ValueError(f"strconv.ParseInt: parsing {quote(text)}: invalid syntax")
    if not -(2**31) <= (number := int(text)) < 2**31:
        raise ValueError(f"strconv.ParseInt: parsing {quote(text)}: value out of range")
    return number


def parse_duration(text: str) -> int:
    """Return the nanoseconds of a duration such as ``1h30m``, ``1.5s`` or ``-2ms``."""
    sign, rest = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    if rest == "0":
        return 0
    if not rest or len(rest) > _LONGEST_TEXT:
        raise ValueError(f"time: invalid duration {quote(text)}")
    total, position = 0, 0
    while position < len(rest):
        part = re.compile(_DURATION_PART).match(rest, position)
        if part is None or part.end() == position:
            raise ValueError(f"time: invalid duration {quote(text)}")
        total, position = total + _nanoseconds(part, text), part.end()
    if total > _LONGEST_DURATION:
        raise ValueError(f"time: invalid duration {quote(text)}")
    return sign * total


def _nanoseconds(part: re.Match[str], text: str) -> int:
    whole, fraction, unit = part[1], part[2] or "", part[3]
    if not whole and not fraction:
        raise ValueError(f"time: invalid duration {quote(text)}")
    if not unit:
        raise ValueError(f"time: missing unit in duration {quote(text)}")
    if unit not in _UNITS:
        raise ValueError(f"time: unknown unit {quote(unit)} in duration {quote(text)}")
    return _scale(whole, fraction, _UNITS[unit])


def _scale(whole: str, fraction: str, unit: int) -> int:
    """Multiply the decimal number *whole* . *fraction* by *unit*, rounding down."""
    return int(whole + fraction) * unit // int("1" + "0" * len(fraction))


def parse_size(text: str) -> int:
    """Return the bytes of a size such as ``64m``, ``1.5GiB`` or ``4096``; units are powers of 1024."""
    size = re.fullmatch(_SIZE, text) if len(text) <= _LONGEST_TEXT else None
    if size is None:
        raise ValueError(f"invalid size: {quote(text)}")
    whole, _, fraction = size[1].partition(".")
    return _scale(whole, fraction, 1 << 10 * " kmgtp".index(size[2].lower() or " "))


def parse_ip(text: str) -> "IPv4Address | IPv6Address":
    """Return an address. Unlike Python, Go takes none with a zone (``fe80::1%eth0``), which only one host knows."""
    from ipaddress import ip_address

    return ip_address(text.replace("%", "/"))
