"""Docker's longer names of commands, such as ``image ls``, and the error for an unknown command."""

import os
from collections.abc import Mapping, Sequence

from pybuild.builder.cli.commands import COMMANDS
from pybuild.builder.errors import RequestError

_IMAGE = ("build", "history", "import", "inspect", "load", "pull", "push", "save", "tag")
_CONTAINER = (
    *("attach", "commit", "cp", "create", "diff", "exec", "export", "kill", "logs", "pause", "port", "rename"),
    *("restart", "rm", "run", "start", "stats", "stop", "top", "unpause", "update", "wait"),
)
ALIASES: Mapping[tuple[str, str], tuple[str, ...]] = {
    **{("image", name): (name,) for name in _IMAGE},
    ("image", "inspect"): ("inspect", "--type=image"),
    **dict.fromkeys((("image", "ls"), ("image", "list")), ("images",)),
    **dict.fromkeys((("image", "rm"), ("image", "remove")), ("rmi",)),
    ("image", "prune"): ("image prune",),
    **{("container", name): (name,) for name in _CONTAINER},
    **dict.fromkeys((("container", "ls"), ("container", "list"), ("container", "ps")), ("ps",)),
    ("container", "inspect"): ("inspect", "--type=container"),
    ("container", "remove"): ("rm",),
    ("container", "prune"): ("container prune",),
    ("builder", "build"): ("build",),
    ("buildx", "build"): ("build",),
    ("builder", "prune"): ("prune", "--build-cache"),
    ("buildx", "prune"): ("prune", "--build-cache"),
    ("system", "df"): ("df",),
    ("system", "prune"): ("prune", "--containers"),
    ("system", "info"): ("info",),
    ("system", "events"): ("events",),
}
FAMILIES = frozenset(family for family, _ in ALIASES)
"""The first words of these names, which need a second word."""
_SHORT = 4
_BAKE = "its files are not read; 'pybuild build' takes several targets: --target a=x:1 --target b=y:1"
_BUILDERS = "there is no daemon, and no builder is needed"
_ELSEWHERE: Mapping[str, str] = {
    "untag": "'pybuild rmi NAME' removes an image",
    **dict.fromkeys(("bake", "buildx bake"), _BAKE),
    **dict.fromkeys(("buildx create", "buildx use", "buildx rm"), _BUILDERS),
    "compose": "its files are not read; 'pybuild run' and 'pybuild network' take the flags of Docker",
}
"""Hints for well-known commands of container engines that pybuild lacks."""


def spelled_out(words: Sequence[str]) -> list[str]:
    """Return *words* with a leading Docker name of a command replaced by pybuild's."""
    ours = ALIASES.get((words[0], words[1])) if len(words) > 1 else None
    return [*ours, *words[2:]] if ours else list(words)


def unknown_command(words: Sequence[str]) -> RequestError:
    """Return the error for a command line that begins with *words*, the first of which is no command."""
    family = words[0] in FAMILIES and len(words) > 1
    name = " ".join(words[:2]) if family else words[0]
    hints = [_ELSEWHERE.get(name, ""), _suggestion(name)]
    if os.path.isdir(words[0]) and not family:
        hints.append(f"to build the directory, write ./{words[0]}")
    hint = "; ".join(filter(None, hints)) or "see 'pybuild --help'"
    return RequestError(f"unknown command: pybuild {name}", hint=hint)


def _suggestion(name: str) -> str:
    from pybuild.grammar.suggest import closest  # after a mistake only

    names = (*COMMANDS, *(" ".join(alias) for alias in ALIASES))
    if len(name) < _SHORT:
        # Any two short words are similar, so the first letter must be the same.
        names = tuple(each for each in names if each[0] == name[:1])
    near = None if name in _ELSEWHERE else closest(name, names)
    return f'did you mean "pybuild {near}"?' if near else ""
