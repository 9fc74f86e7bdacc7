"""The error for a first word that is not a command."""

import os
from collections.abc import Mapping, Sequence

from pybuild.builder.cli.aliases import ALIASES, FAMILIES
from pybuild.builder.cli.commands import COMMANDS
from pybuild.builder.errors import RequestError
from pybuild.grammar.suggest import closest

_SHORT = 4
_ELSEWHERE: Mapping[str, str] = {
    "search": "search is not supported: 'pybuild pull NAME' downloads an image by its name",
    "untag": "'pybuild rmi NAME' removes an image",
}
"""Hints for well-known commands of container engines that pybuild lacks."""


def unknown_command(words: Sequence[str]) -> RequestError:
    """Return the error for a command line that begins with *words*, the first of which is no command."""
    family = words[0] in FAMILIES and len(words) > 1
    name = " ".join(words[:2]) if family else words[0]
    hints = [_ELSEWHERE.get(words[0], ""), _suggestion(name)]
    if os.path.isdir(words[0]) and not family:
        hints.append(f"to build the directory, write ./{words[0]}")
    hint = "; ".join(filter(None, hints)) or "see 'pybuild --help'"
    return RequestError(f"unknown command: pybuild {name}", hint=hint)


def _suggestion(name: str) -> str:
    names = (*COMMANDS, *(" ".join(alias) for alias in ALIASES))
    if len(name) < _SHORT:
        # Any two words of two letters are near each other.
        names = tuple(each for each in names if each[0] == name[:1])
    near = None if name in _ELSEWHERE else closest(name, names)
    return f'did you mean "pybuild {near}"?' if near else ""
