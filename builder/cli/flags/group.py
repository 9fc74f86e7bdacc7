"""Groups of flags: frozen classes in which each field declares one flag, with its click option.

@frozen
class SizeFlags:
    size: str | None = option("--size", metavar="SIZE", help="Size of it.")
    names: tuple[str, ...] = option("-n", "--name", multiple=True, help="Name of it; repeatable.")

@click.command("make")
@takes(SizeFlags, "flags")
def command(*, flags: SizeFlags) -> None: ...

This module does not import click before a command takes flags, because the usual ones are read without it.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from typing import Any, TypeVar

from pybuild.runtime.values import field, fields

_Command = TypeVar("_Command", bound=Callable[..., Any])
_Value = TypeVar("_Value")


def option(*names: str, empty: bool = False, **attributes: Any) -> Any:
    """Declare a field that has the value of a click option with these *names* and *attributes*.

    An empty value counts as not given, unless *empty* is true. Two types are attributes: with *one_of* the value is one
    of these words, with *file* the path of a file.
    """
    unset = () if attributes.get("multiple") else False if attributes.get("is_flag") else None
    about = {"names": names, "with": attributes, "empty": empty}
    return field(default=attributes.get("default", unset), metadata=about)


def argument(*, empty: bool = False, **attributes: Any) -> Any:
    """Declare a field that has the value of a click argument; see `option`."""
    return field(metadata={"names": (), "with": attributes, "empty": empty})


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
            value = _take_group(kind, flags)
            return command(*arguments, **flags, **{name: read(value)})

        function: Any = with_group
        for each in reversed([*declared(kind)]):
            function = _parameter(each)(function)
        kept: _Command = function
        return kept

    return add


def _parameter(each: Any) -> Callable[[Any], Any]:
    """Return the decorator of click that adds the option or argument of a field."""
    import click

    from pybuild.builder.cli.flags.values import FilePath, OneOf

    names, attributes = each.metadata["names"], dict(each.metadata["with"])
    if words := attributes.pop("one_of", ()):
        attributes["type"] = OneOf(words)
    if attributes.pop("file", False):
        attributes["type"] = FilePath()
    return (click.option if names else click.argument)(*names, each.name, **attributes)


def declared(kind: Any) -> Iterator[Any]:
    """Yield the fields of *kind* and of its parts, in their order."""
    for each in fields(kind):
        if "part" in each.metadata:
            yield from declared(each.metadata["part"])
        else:
            yield each


def group_of(kind: Any, values: Mapping[str, Any]) -> Any:
    """Return the group *kind* with the *values* of its fields and of those of its parts; others have their defaults."""
    return kind(**{each.name: _value_of(each, values) for each in fields(kind)})


def _value_of(each: Any, values: Mapping[str, Any]) -> Any:
    return group_of(each.metadata["part"], values) if "part" in each.metadata else values.get(each.name, each.default)


def _take_group(kind: Any, flags: dict[str, Any]) -> Any:
    """Remove the flags of *kind* from *flags*, and return the value that they make."""
    return group_of(kind, {each.name: _given(each, flags.pop(each.name)) for each in declared(kind)})


def _given(each: Any, value: Any) -> Any:
    """Return *value*; an empty one counts as not given, as in docker.

    A script that passes ``--network "$NETWORK"`` relies on it.
    """
    if each.metadata["empty"]:
        return value
    if isinstance(value, tuple):
        return tuple(item for item in value if item not in {"", None})
    return None if value == "" else value


def flags_given(group: Any) -> Iterator[str]:
    """Yield the name of each field, also in the groups of *group*, whose value is not that of a flag left out."""
    for each in fields(group):
        value = getattr(group, each.name)
        if "part" in each.metadata:
            yield from flags_given(value)
        elif value != each.default:
            yield each.name
