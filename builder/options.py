"""Options that a user writes as text: records of ``key=value`` fields, and booleans.

A boolean is what Go's ``strconv.ParseBool`` takes, as in Docker, whose flags, options and variables all go through it.
"""

from pybuild.builder.errors import RequestError


def record(given: str, flag: str) -> dict[str, str]:
    """Return the fields of *given*, one record of CSV, by key in lower case. Raises RequestError that names *flag*."""
    # Imported here: a build without such an option need not pay for it.
    import csv

    found: dict[str, str] = {}
    try:
        fields = next(csv.reader([given], strict=True), [])
    except csv.Error as error:
        raise RequestError(f"invalid {flag} {given!r}: {error}") from error
    for field in fields:
        key, equals, value = field.partition("=")
        if not equals:
            raise RequestError(f"invalid {flag} {given!r}: invalid field '{field}' must be a key=value pair")
        found[key.strip().lower()] = value
    return found


def boolean(key: str, text: str, flag: str) -> bool:
    """Return the value of the option *key* of *flag*. Raises RequestError when it is neither true nor false."""
    from pybuild.grammar.golang import parse_bool

    try:
        return parse_bool(text)
    except ValueError as error:
        raise RequestError(f"invalid {flag}: {key}={text}", hint="use true or false") from error


def is_true(text: str) -> bool:
    """Return whether *text* is a true boolean; for variables whose invalid values Docker ignores."""
    if not text:
        return False
    from pybuild.grammar.golang import parse_bool

    try:
        return parse_bool(text)
    except ValueError:
        return False
