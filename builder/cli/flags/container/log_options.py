"""The options of the logging driver, ``--log-opt``: how large the files of a log get, and how many there are."""

from pybuild.builder.cli.tools import warn
from pybuild.builder.errors import RequestError
from pybuild.builder.options import whole_number
from pybuild.grammar.parse_go import parse_size

_KEPT = frozenset({"max-size", "max-file"})
_ATTRIBUTES = "lines of a log have no more attributes than time and stream"
_WITHOUT_EFFECT = {
    **dict.fromkeys(("env", "env-regex", "labels", "labels-regex", "tag"), _ATTRIBUTES),
    "compress": "older files of a log stay as they are",
    "mode": "a process waits until its output is written",
}
_DEFAULTS = frozenset({("compress", "false"), ("mode", "blocking")})


def log_options(texts: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Return what ``--log-opt`` gives, by name. Raises RequestError for an unknown option or a wrong value.

    Options of docker that have no effect here are returned as well, with a warning on standard error.
    """
    found = [(name, value) for name, _, value in (item.partition("=") for item in texts)]
    for name, value in found:
        if name in _WITHOUT_EFFECT:
            if (name, value) not in _DEFAULTS:
                warn(f"--log-opt {name} is not kept: {_WITHOUT_EFFECT[name]}")
            continue
        if name not in _KEPT:
            raise RequestError(f"unknown log opt '{name}' for json-file log driver", hint="use max-size and max-file")
        if name == "max-file" and not whole_number(value):
            raise RequestError("max-file cannot be less than 1")
        if name == "max-size":
            _check_size(value)
    return tuple(sorted(found))


def _check_size(text: str) -> None:
    try:
        parse_size(text)
    except ValueError as error:
        raise RequestError(f"failed to initialize logging driver: {error}", hint="write it as max-size=10m") from error
