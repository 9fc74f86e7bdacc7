"""``--filter`` of ``pybuild images``, with Docker's keys and meanings."""

import re
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from fnmatch import fnmatchcase

import click

from pybuild.builder.errors import RequestError
from pybuild.builder.image.catalog import Listed, familiar, find
from pybuild.builder.store.store import Store
from pybuild.grammar.parse_go import parse_bool, parse_duration

Test = Callable[[Listed], bool]

KEYS = ("before", "dangling", "label", "reference", "since", "until")
_TIMESTAMP = r"(?a)\d{1,12}(\.\d{1,9})?"
_FIRST, _LAST = -62135596800.0, 253402300799.0
"""The range of `datetime`: from the start of year 1 to the last second of year 9999."""
_DATE = r"(?a)\d{4}-\d\d-\d\d(T\d\d(:\d\d(:\d\d(\.\d+)?)?)?)?(Z|[+-]\d\d:\d\d)?"


def image_filter(opened: Store, filters: Iterable[str]) -> Test:
    """Return the test that an image must pass: one of the patterns under ``reference`` and everything else.

    Raises:
        ImageNotFound: ``before`` or ``since`` names no image.
        RequestError: a time is invalid.
    """
    given = [_pair(item) for item in filters]
    patterns = [value for key, value in given if key == "reference"]
    tests = [_test(opened, key, value) for key, value in given if key != "reference"]
    return lambda entry: (
        (not patterns or any(named(entry, pattern) for pattern in patterns)) and all(test(entry) for test in tests)
    )


def prune_filter(filters: Iterable[str]) -> Test:
    """Return the test that an image must pass to be pruned: all of ``until``, ``label`` and ``label!``."""
    tests = [_prune_test(*_pair(item)) for item in filters]
    return lambda entry: all(test(entry) for test in tests)


def named(entry: Listed, name: str) -> bool:
    """Return whether the name of an image, with or without its tag, matches a pattern."""
    shown = familiar(entry.name)
    return entry.name != "" and (fnmatchcase(shown, name) or fnmatchcase(shown.rpartition(":")[0], name))


def created(entry: Listed) -> float | None:
    """Return when an image was created, in seconds since 1970; None when its config has no time."""
    return seconds(entry.image.config.created) if entry.image is not None else None


def seconds(time_text: str) -> float | None:
    """Return the seconds since 1970 of a time of RFC 3339, None when there is no such time."""
    try:
        return min(max(datetime.fromisoformat(time_text).timestamp(), _FIRST), _LAST) if time_text else None
    except (ValueError, OverflowError):
        return None


def _prune_test(key: str, value: str) -> Test:
    match key:
        case "label":
            return lambda entry: _labelled(entry, value)
        case "label!":
            return lambda entry: not _labelled(entry, value)
        case "until":
            return _older(_moment(value))
        case _:
            raise click.UsageError(f"invalid filter {key!r}; available: label, label!, until")


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise click.UsageError(f"--filter {text}: bad format of filter (expected name=value)")
    return key.strip().lower(), value.strip()


def _test(opened: Store, key: str, value: str) -> Test:
    match key:
        case "dangling":
            wanted = _truth(value)
            return lambda entry: (not entry.name) == wanted
        case "label":
            return lambda entry: _labelled(entry, value)
        case "before":
            return _older(_made(opened, key, value))
        case "until":
            return _older(_moment(value))
        case "since":
            start = _made(opened, key, value)
            return lambda entry: (created(entry) or 0.0) > start
        case _:
            raise click.UsageError(f"invalid filter {key!r}; available: {', '.join(KEYS)}")


def _truth(value: str) -> bool:
    # Docker knows four of these words, podman all of them.
    try:
        return parse_bool(value)
    except ValueError as error:
        raise click.UsageError(f"invalid filter 'dangling={value}': use true or false") from error


def _older(limit: float) -> Test:
    # An image without a time counts as the oldest.
    return lambda entry: (created(entry) or 0.0) < limit


def _labelled(entry: Listed, wanted: str) -> bool:
    name, equals, value = wanted.partition("=")
    labels = dict(entry.image.config.config.labels) if entry.image is not None else {}
    return name in labels and (not equals or labels[name] == value)


def _made(opened: Store, key: str, text: str) -> float:
    moment = created(find(opened, text))
    if moment is None:
        raise RequestError(f"--filter {key}={text}: the image has no creation time")
    return moment


def _moment(text: str) -> float:
    """Return the seconds since 1970 of ``24h`` (ago), of such a number itself, or of a date, in this time zone."""
    if re.fullmatch(_TIMESTAMP, text):
        return float(text)
    try:
        if re.fullmatch(_DATE, text):
            return datetime.fromisoformat(text).timestamp()
        return time.time() - parse_duration(text) / 1e9
    except (ValueError, OverflowError, OSError) as error:
        hint = "write it as 24h, as 2024-01-31T12:00:00 or as seconds since 1970"
        raise RequestError(f"--filter until={text}: not a time", hint=hint) from error
