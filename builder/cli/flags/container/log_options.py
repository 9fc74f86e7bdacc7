"""The options of the logging driver, ``--log-opt``: how large the files of a log get, and how many there are."""

from pybuild.builder.errors import RequestError
from pybuild.grammar.golang import parse_size

_LOG_OPTIONS = frozenset({"max-size", "max-file"})


def log_options(given: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Return what ``--log-opt`` gives, by name. Raises RequestError for an unknown option or a wrong value."""
    found = [(name, value) for name, _, value in (item.partition("=") for item in given)]
    for name, value in found:
        if name not in _LOG_OPTIONS:
            raise RequestError(f"unknown log opt '{name}' for json-file log driver", hint="use max-size and max-file")
        if name == "max-file" and not (value.isdigit() and int(value) > 0):
            raise RequestError("max-file cannot be less than 1")
        if name == "max-size":
            _check_size(value)
    return tuple(sorted(found))


def _check_size(text: str) -> None:
    try:
        parse_size(text)
    except ValueError as error:
        raise RequestError(f"failed to initialize logging driver: {error}", hint="write it as max-size=10m") from error
