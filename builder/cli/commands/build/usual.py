"""The usual build: a command line with none but the most common flags, read without click.

    [--root DIR] [build] [-t NAME]... [-f PATH] [--build-arg NAME=VALUE]... [--label NAME=VALUE]... [--target STAGE]
    [--network MODE] [--no-cache] [--progress MODE] [-q] DIRECTORY

To load click, to declare the hundred flags of `build` and to read them takes as long as all the rest of a build in
which nothing changed. Every word that is not plain and right is left to click, so all messages are there, and what it
makes of these words is the same request: `tests/builder/cli/commands/build/test_usual.py`.
"""

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pybuild.builder.request import Request

_ONE = {"-f": "--file", "--file": "--file", "--target": "--target", "--network": "--network"}
_ONE |= {"--progress": "--progress", "--root": "--root"}
_MANY = {"-t": "--tag", "--tag": "--tag", "--build-arg": "--build-arg", "--label": "--label"}
_SWITCHES = {"-q": "--quiet", "--quiet": "--quiet", "--no-cache": "--no-cache"}
_SETTINGS = frozenset({"SOURCE_DATE_EPOCH", "DOCKER_DEFAULT_PLATFORM"})
"""Variables that stand for flags."""


def usual_build(words: Sequence[str], env: Mapping[str, str]) -> "tuple[str | None, str, Request] | None":
    """Return what *words* ask for; None when they are for click. Raises RequestError as the flags do."""
    given = _read(words)
    if given is None or not _SETTINGS.isdisjoint(env):
        return None
    return _asked(given, env)


def _read(words: Sequence[str]) -> dict[str, list[str]] | None:
    """Return the values of each flag by its long name, the context as ``""``; None when a word is not plain."""
    given: dict[str, list[str]] = {}
    rest = list(_without_command(words))[::-1]
    while rest:
        word = rest.pop()
        name, equals, value = word.partition("=")
        if word in _SWITCHES:
            name, value = _SWITCHES[word], word
        elif name in _ONE or name in _MANY:
            # A short option and its value stand apart: "-t=x" means "=x".
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
    """Return the words of a build; none for another command, and for what may be one."""
    at = 2 if words[:1] == ["--root"] else 1 if words and words[0].startswith("--root=") else 0
    first = words[at] if at < len(words) else ""
    if first == "build":
        return (*words[:at], *words[at + 1 :])
    return words if first.startswith("-") else ()


def _asked(given: dict[str, list[str]], env: Mapping[str, str]) -> "tuple[str | None, str, Request] | None":
    from pybuild.builder.display.choose import MODES

    def one(name: str) -> str | None:
        return given.get(name, (None,))[0]

    context, file, target, network, progress = map(one, ("", "--file", "--target", "--network", "--progress"))
    arguments = given.get("--build-arg", ())
    if context is None or not os.path.isdir(context) or "=" in (target or "") or progress not in {None, *MODES}:
        return None
    # Arguments that are flags in truth; an address is fetched first.
    if any(item.startswith(("BUILDKIT_", *_SETTINGS)) for item in arguments) or (file and "://" in file):
        return None
    from pybuild.builder.cli.flags import build as values
    from pybuild.builder.request import Request
    from pybuild.builder.request.checks import full_names

    request = Request.of(
        context=values.context(context),
        dockerfile=values.dockerfile(file),
        tags=full_names(tuple(given.get("--tag", ()))),
        build_args=values.build_arguments(arguments, env),
        target=target,
        labels=values.labels(given.get("--label", ())),
        network=network or "default",
        no_cache="--no-cache" in given,
    )
    mode = "quiet" if "--quiet" in given else progress or env.get("BUILDKIT_PROGRESS") or "auto"
    return one("--root"), mode, request
