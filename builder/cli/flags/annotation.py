"""``--annotation``: what is written beside an image, not into it, and so changes no image ID."""

import re
from collections.abc import Iterable

from pybuild.builder.errors import RequestError
from pybuild.builder.request import Annotation
from pybuild.grammar.suggest import did_you_mean

_KINDS = ("manifest", "index", "manifest-descriptor", "index-descriptor")
_KIND = re.compile(r"([a-z-]+)(?:\[([A-Za-z0-9_/.-]+)\])?")


def annotations(given: Iterable[str]) -> tuple[Annotation, ...]:
    """Return the annotations of ``[KIND[PLATFORM],...:]KEY=VALUE``; without a kind they are for the manifest.

    Raises:
        RequestError: an unknown kind, no key, or no equals sign.
    """
    return tuple(annotation for item in given for annotation in _annotations(item))


def _annotations(item: str) -> list[Annotation]:
    name, equals, value = item.partition("=")
    kinds, colon, key = name.rpartition(":")
    if not equals or not key:
        raise RequestError(f"invalid annotation {item!r}, expected [KIND:]KEY=VALUE")
    return [_annotation(kind, key, value) for kind in (kinds.split(",") if colon else ["manifest"])]


def _annotation(text: str, key: str, value: str) -> Annotation:
    found = _KIND.fullmatch(text)
    kind, platform = found.groups() if found else (text, None)
    if kind not in _KINDS:
        raise RequestError(f"unknown annotation type {kind!r}", hint=did_you_mean(kind, _KINDS))
    if kind.startswith("index") and platform:
        raise RequestError("an index has no platform", hint=f"use {kind}:{key}={value}")
    return Annotation(kind=kind, platform=platform or "", key=key, value=value)
