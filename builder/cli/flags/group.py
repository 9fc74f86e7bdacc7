"""Groups of flags: options of a command whose values go to one function with typed parameters."""

from collections.abc import Callable
from dataclasses import MISSING, fields
from functools import wraps
from inspect import signature
from typing import Any, TypeVar

from pybuild.builder.cli.flags.values import without_empty

_F = TypeVar("_F", bound=Callable[..., Any])


def group(name: str, read: Callable[..., object], *options: Callable[[Any], Any]) -> Callable[[_F], _F]:
    """Return the decorator that adds *options* to a command, which gets as *name* what *read* makes of their values.

    *read* is a function with a keyword-only parameter for each option, or a frozen class with a field for each. What
    has a default there is not for an option; empty values are as if they had not been given.
    """
    taken = _names(read)

    def add(command: _F) -> _F:
        @wraps(command)
        def with_group(*arguments: Any, **flags: Any) -> Any:
            own = without_empty({key: flags.pop(key) for key in taken})
            return command(*arguments, **flags, **{name: read(**own)})

        function: Any = with_group
        for option in reversed(options):
            function = option(function)
        kept: _F = function
        return kept

    return add


def _names(read: Callable[..., object]) -> tuple[str, ...]:
    if isinstance(read, type):
        made: Any = read
        return tuple(each.name for each in fields(made) if each.default is MISSING)
    return tuple(each.name for each in signature(read).parameters.values() if each.default is each.empty)
