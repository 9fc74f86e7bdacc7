"""Groups of flags: frozen classes in which each field declares one flag, with its click option.

@frozen
class SizeFlags:
    size: str | None = option("--size", metavar="SIZE", help="Size of it.")
    names: tuple[str, ...] = option("-n", "--name", multiple=True, help="Name of it; repeatable.")

@click.command("make")
@takes(SizeFlags, "flags")
def command(*, flags: SizeFlags) -> None: ...
"""

from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any, TypeVar

import click

from pybuild.builder.cli.flags.values import given
from pybuild.runtime.values import field, fields

_Command = TypeVar("_Command", bound=Callable[..., Any])
_Value = TypeVar("_Value")


def option(*names: str, empty: bool = False, **attributes: Any) -> Any:
    """Declare a field that has the value of a click option with these *names* and *attributes*.

    An empty value counts as not given, unless *empty* is true.
    """
    unset = () if attributes.get("multiple") else False if attributes.get("is_flag") else None
    about = {"click": click.option, "names": names, "with": attributes, "empty": empty}
    return field(default=attributes.get("default", unset), metadata=about)


def argument(*, empty: bool = False, **attributes: Any) -> Any:
    """Declare a field that has the value of a click argument; see `option`."""
    return field(metadata={"click": click.argument, "names": (), "with": attributes, "empty": empty})


def part(kind: type[_Value]) -> _Value:
    """Declare a field that is a group of flags of its own."""
    declared: Any = field(metadata={"part": kind})
    return declared  # type: ignore[no-any-return] # the field becomes a value of the kind


def takes(
    kind: type[_Value], name: str, read: Callable[[_Value], object] = lambda value: value
) -> Callable[[_Command], _Command]:
    """Return a decorator that adds the flags of *kind* to a command, which gets the value as the argument *name*.

    With *read* it gets the result of *read* for that value.
    """

    def add(command: _Command) -> _Command:
        @wraps(command)
        def with_group(*arguments: Any, **flags: Any) -> Any:
            value = _made(kind, flags)
            return command(*arguments, **flags, **{name: read(value)})

        function: Any = with_group
        for each in reversed([*_declared(kind)]):
            about = each.metadata
            function = about["click"](*about["names"], each.name, **about["with"])(function)
        kept: _Command = function
        return kept

    return add


def _declared(kind: Any) -> Iterator[Any]:
    """Yield the fields of *kind* and of its parts, in their order."""
    for each in fields(kind):
        if "part" in each.metadata:
            yield from _declared(each.metadata["part"])
        else:
            yield each


def _made(kind: Any, flags: dict[str, Any]) -> Any:
    """Remove the flags of *kind* from *flags*, and return the value that they make."""
    return kind(**{each.name: _value(each, flags) for each in fields(kind)})


def _value(each: Any, flags: dict[str, Any]) -> Any:
    if "part" in each.metadata:
        return _made(each.metadata["part"], flags)
    value = flags.pop(each.name)
    return value if each.metadata["empty"] else given(value)


def flags_given(group: Any) -> Iterator[str]:
    """Yield the name of each field, also in the groups of *group*, whose value is not that of a flag left out."""
    for each in fields(group):
        value = getattr(group, each.name)
        if "part" in each.metadata:
            yield from flags_given(value)
        elif value != each.default:
            yield each.name
