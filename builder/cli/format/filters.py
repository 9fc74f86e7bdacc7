"""``--filter`` of listings: of several values of one key one must match, of labels and times all."""

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from pybuild.builder.cli.failures import RUN, Described, Failure
from pybuild.builder.display.failure import plain_failure
from pybuild.builder.errors import RequestError

_ALL = frozenset({"label", "label!", "until"})
_Item = TypeVar("_Item")


def by_key(filters: Iterable[str], known: Iterable[str]) -> dict[str, list[str]]:
    """Return the values of each key; as in Docker, an empty text has none.

    Raises:
        Described: one is no filter. The exit code is that of a wrong flag.
        RequestError: a key is not *known*.
    """
    found: dict[str, list[str]] = {}
    for text in filters:
        if not text:  # as of an empty variable of a script
            continue
        key, mark, value = text.partition("=")
        if not mark:
            message = f"invalid argument {text!r} for -f, --filter: bad format of filter (expected name=value)"
            raise Described(Failure(plain_failure(message), RUN))
        if key.strip().lower() not in known:
            raise RequestError(f"invalid filter '{key}'", hint=f"use one of {', '.join(known)}")
        found.setdefault(key.strip().lower(), []).append(value.strip())
    return found


def passing(
    filters: Mapping[str, Iterable[str]], test: Callable[[str, str], Callable[[_Item], bool]]
) -> Callable[[_Item], bool]:
    """Return the test for all filters in *filters*; *test* returns that for one key and value."""
    tests = [(all if key in _ALL else any, [test(key, each) for each in values]) for key, values in filters.items()]
    return lambda item: all(enough(fits(item) for fits in some) for enough, some in tests)


def has_label(labels: Iterable[tuple[str, str]], label: str) -> bool:
    """Return whether *labels* have the name *label*, or the name and value ``NAME=VALUE``."""
    name, mark, value = label.partition("=")
    found = dict(labels)
    return name in found and (not mark or found[name] == value)
