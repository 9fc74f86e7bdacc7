"""The parts of an image config that decide how an image behaves, in one form for all builders."""

from collections.abc import Iterator, Mapping
from typing import Any

IMAGE_FIELDS = ("architecture", "os", "variant", "author")
"""Beside ``config``; times, identities and builder names are not compared."""

CONFIG_FIELDS = (
    "User",
    "ExposedPorts",
    "Env",
    "Entrypoint",
    "Cmd",
    "Volumes",
    "WorkingDir",
    "Labels",
    "StopSignal",
    "Healthcheck",
    "ArgsEscaped",
    "OnBuild",
    "Shell",
)


def settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that are set; what is empty counts as not there, as for every runtime."""
    inner = config.get("config") or {}
    found = {name: config[name] for name in IMAGE_FIELDS if config.get(name)}
    unknown = {name: inner[name] for name in inner if name not in CONFIG_FIELDS and inner[name]}
    return found | {name: inner[name] for name in CONFIG_FIELDS if inner.get(name)} | unknown


def steps(config: Mapping[str, Any]) -> list[tuple[str, str, str, bool]]:
    """The history without its times: (created_by, comment, author, whether it has no layer)."""
    return [
        (
            entry.get("created_by", ""),
            entry.get("comment", ""),
            entry.get("author", ""),
            entry.get("empty_layer", False),
        )
        for entry in config.get("history") or ()
    ]


def differences(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Pairs (field, what differs) of two image configs."""
    left, right = settings(ours), settings(theirs)
    for name in sorted(left.keys() | right.keys()):
        if left.get(name) != right.get(name):
            yield name, f"{left.get(name)!r}, theirs is {right.get(name)!r}"


def step_differences(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Pairs (instruction, what differs) of two histories. The first entry is the imported base, which each writes in its own way."""
    left, right = steps(ours)[1:], steps(theirs)[1:]
    if len(left) != len(right):
        yield "", f"{len(left)} steps {[step[0] for step in left]}, theirs are {[step[0] for step in right]}"
        return
    for mine, other in zip(left, right, strict=True):
        if mine != other:
            yield mine[0].partition(" ")[0], f"{mine!r}, theirs is {other!r}"
