"""Values of flags that are one record of CSV with ``key=value`` fields."""

from pybuild.builder.errors import RequestError


def fields(given: str, flag: str) -> dict[str, str]:
    """Return the fields of *given* by key, in lower case. Raises RequestError that names *flag*."""
    import csv

    found: dict[str, str] = {}
    try:
        record = next(csv.reader([given], strict=True), [])
    except csv.Error as error:
        raise RequestError(f"invalid {flag} {given!r}: {error}") from error
    for field in record:
        key, equals, value = field.partition("=")
        if not equals:
            raise RequestError(f"invalid {flag} {given!r}: invalid field '{field}' must be a key=value pair")
        found[key.strip().lower()] = value
    return found
