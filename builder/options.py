"""Options that a user writes as text: records of ``key=value`` fields, and booleans.

A boolean is what Go's ``strconv.ParseBool`` takes, as in Docker, whose flags, options and variables all go through it.
"""

from pybuild.builder.errors import RequestError


def record(text: str, flag: str) -> dict[str, str]:
    """Return the fields of *text*, one record of CSV, by key in lower case. Raises RequestError that names *flag*."""
    # Imported here: a build without such an option need not pay for it.
    import csv

    found: dict[str, str] = {}
    try:
        fields = next(csv.reader([text], strict=True), [])
    except csv.Error as error:
        raise RequestError(f"invalid {flag} {text!r}: {error}") from error
    for field in fields:
        key, equals, value = field.partition("=")
        if not equals:
            raise RequestError(f"invalid {flag} {text!r}: invalid field '{field}' must be a key=value pair")
        found[key.strip().lower()] = value
    return found


def boolean(key: str, text: str, flag: str) -> bool:
    """Return the value of the option *key* of *flag*. Raises RequestError when it is neither true nor false."""
    from pybuild.grammar.parse_go import parse_bool

    try:
        return parse_bool(text)
    except ValueError as error:
        raise RequestError(f"invalid {flag}: {key}={text}", hint="use true or false") from error


def is_true(text: str) -> bool:
    """Return whether *text* is a true boolean; for variables whose invalid values Docker ignores."""
    if not text:
        return False
    from pybuild.grammar.parse_go import parse_bool

    try:
        return parse_bool(text)
    except ValueError:
        return False


def whole_number(text: str, most: int = 2**63 - 1) -> int | None:
    """Return the decimal number in *text*, None when there is none in ASCII digits or it is larger than *most*.

    The default of *most* is the largest ``int`` of Go.
    """
    # The length counts first: int() raises ValueError for more than 4300 digits.
    digits = text.lstrip("0") or text[-1:]
    if not (text.isascii() and text.isdigit()) or len(digits) > len(str(most)) or int(digits) > most:
        return None
    return int(digits)


def size_of(name: str, text: str | None) -> int | None:
    """Return the bytes that *text* says, the value of what *name* tells. Raises RequestError."""
    from pybuild.grammar.parse_go import parse_size

    if text is None:
        return None
    try:
        return parse_size(text)
    except ValueError as error:
        raise RequestError(f"invalid {name}: {error}", hint="write it as 512m or 20g") from error


def duration(name: str, text: str) -> float:
    """Return the seconds of a duration in Go's notation, the value of what *name* tells. Raises RequestError."""
    from pybuild.grammar.parse_go import parse_duration

    try:
        seconds = parse_duration(text) / 1e9
    except ValueError as error:
        raise RequestError(f"{name}: {error}", hint="write it as 24h or 1h30m") from error
    if seconds < 0:
        raise RequestError(f"{name}: a duration cannot be negative")
    return seconds
