"""Reading the command line of a build without click, when it has the most common flags only.

    [--root DIR] [build] [-t NAME]... [-f PATH] [--build-arg NAME=VALUE]... [--label NAME=VALUE]... [--target STAGE]
    [--network MODE] [--no-cache] [--progress MODE] [-q] DIRECTORY

Loading click and declaring the hundred flags of `build` takes as long as the rest of a build in which nothing changed.
A command line with any other word, or with a mistake, is left to click, which has the messages. The names of the flags
are declared here, and the groups of flags use them. `tests/builder/cli/flags/test_fast_path.py` tests that click makes
the same request from the same words.
"""

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pybuild.builder.request import Request

TAG, FILE, BUILD_ARG, LABEL = ("-t", "--tag"), ("-f", "--file"), ("--build-arg",), ("--label",)
TARGET, NETWORK, NO_CACHE = ("--target",), ("--network",), ("--no-cache",)
PROGRESS, QUIET, ROOT = ("--progress",), ("-q", "--quiet"), ("--root",)
"""The names of the flags, the long one last."""


def _long_names(*flags: tuple[str, ...]) -> dict[str, str]:
    return {name: names[-1] for names in flags for name in names}


_ONE = _long_names(FILE, TARGET, NETWORK, PROGRESS, ROOT)
_MANY = _long_names(TAG, BUILD_ARG, LABEL)
_SWITCHES = _long_names(QUIET, NO_CACHE)
"""Flags that are given once, those that are repeated, and those without a value."""
_SETTINGS = frozenset({"SOURCE_DATE_EPOCH", "DOCKER_DEFAULT_PLATFORM"})
"""Environment variables that act like flags."""


def fast_path_build(words: Sequence[str], env: Mapping[str, str]) -> "tuple[str | None, str, Request] | None":
    """Return the store, the progress mode and the request of *words*; None when click must read them.

    Raises RequestError like the groups of flags.
    """
    given = _read(words)
    if given is None or not _SETTINGS.isdisjoint(env):
        return None
    return _asked(given, env)


def _read(words: Sequence[str]) -> dict[str, list[str]] | None:
    """Return the values of each flag by its long name, and the context by ``""``; None for any other word."""
    given: dict[str, list[str]] = {}
    rest = list(_without_command(words))[::-1]
    while rest:
        word = rest.pop()
        name, equals, value = word.partition("=")
        if word in _SWITCHES:
            name, value = _SWITCHES[word], word
        elif name in _ONE or name in _MANY:
            # For click "-t=x" is the value "=x" of -t.
            if (equals and name[1] != "-") or not (equals or rest):
                return None
            value = value if equals else rest.pop()
            name = _ONE.get(name) or _MANY[name]
        else:
            name, value = "", word
        if not value or value == "-" or (name not in _SWITCHES and value.startswith("-")):
            return None
        given.setdefault(name, []).append(value)
    if "" not in given or any(len(found) > 1 for name, found in given.items() if name not in _MANY):
        return None
    return given


def _without_command(words: Sequence[str]) -> Sequence[str]:
    """Return *words* without ``build``; () when the first word is, or may be, another command."""
    at = 2 if words[:1] == ["--root"] else 1 if words and words[0].startswith("--root=") else 0
    first = words[at] if at < len(words) else ""
    if first == "build":
        return (*words[:at], *words[at + 1 :])
    return words if first.startswith("-") else ()


def _asked(given: dict[str, list[str]], env: Mapping[str, str]) -> "tuple[str | None, str, Request] | None":
    from pybuild.builder.display.choose import MODES

    def one(names: tuple[str, ...]) -> str | None:
        return given.get(names[-1], (None,))[0]

    context, file, target, network, progress = map(one, (("",), FILE, TARGET, NETWORK, PROGRESS))
    tags, arguments, labels = (given.get(names[-1], ()) for names in (TAG, BUILD_ARG, LABEL))
    if context is None or not os.path.isdir(context) or "=" in (target or "") or progress not in {None, *MODES}:
        return None
    # Some build arguments act like flags, and a Dockerfile with an address is downloaded first.
    if any(item.startswith(("BUILDKIT_", *_SETTINGS)) for item in arguments) or (file and "://" in file):
        return None
    from pybuild.builder.cli.flags import build_values as values
    from pybuild.builder.request import Request
    from pybuild.builder.request.checks import full_names

    request = Request.of(
        context=values.context(context),
        dockerfile=values.dockerfile(file),
        tags=full_names(tuple(tags)),
        build_args=values.build_arguments(arguments, env),
        target=target,
        labels=values.labels(labels),
        network=network or "default",
        no_cache=NO_CACHE[-1] in given,
    )
    mode = "quiet" if QUIET[-1] in given else progress or env.get("BUILDKIT_PROGRESS") or "auto"
    return one(ROOT), mode, request
