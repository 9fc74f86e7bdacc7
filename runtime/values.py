"""Frozen values that cost little to define: dataclasses without `dataclasses`.

`dataclass` compiles the methods of each class anew: 0.4 ms for each of the 65 classes of a build, a third of one in
which nothing changed; the module itself loads `inspect`, 5 ms. Here all classes share methods that go by the names of
their fields. The functions of `dataclasses` take these values, too: what they need is made when they ask for it.
"""

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, TypeVar, dataclass_transform, get_origin

__all__ = ["Field", "field", "fields", "frozen", "is_value", "positional", "replace"]

_Class = TypeVar("_Class")
_put = object.__setattr__
_MISSING: Any = object()
_OWN = "__value_fields__"


class Field:
    """A field of a value, with the attributes that a field of a dataclass has."""

    __slots__ = ("compare", "default", "default_factory", "hash", "metadata", "name", "repr", "type")

    def __init__(self, about: Mapping[str, Any]) -> None:
        self.name, self.type = "", None
        self.default = about.get("default", _MISSING)
        self.default_factory = about.get("default_factory", _MISSING)
        self.compare, self.repr = about.get("compare", True), about.get("repr", True)
        self.hash, self.metadata = about.get("hash"), about.get("metadata", {})

    @property
    def defaults(self) -> Mapping[str, Any]:
        """What was given of ``default`` and ``default_factory``."""
        both = {"default": self.default, "default_factory": self.default_factory}
        return {name: given for name, given in both.items() if given is not _MISSING}


if TYPE_CHECKING:
    # Type checkers know what these functions do.
    from dataclasses import field, fields, replace
else:

    def field(**about: Any) -> Field:
        """Declare a field with ``default``, ``default_factory``, ``compare``, ``hash``, ``repr`` or ``metadata``."""
        return Field(about)

    def fields(value: Any) -> tuple[Field, ...]:
        """Return the fields of a value, of a class of values, or of any other dataclass, in their order."""
        found = getattr(value, _OWN, None)
        if found is None:
            from dataclasses import fields as of_dataclass

            return of_dataclass(value)
        return found

    def replace(value: Any, **changes: Any) -> Any:
        """Return a value like *value* with other contents of some fields."""
        return type(value)(**{**{each.name: getattr(value, each.name) for each in fields(value)}, **changes})


def is_value(item: object) -> bool:
    """Return whether *item* is a value, and no class of values."""
    return hasattr(type(item), _OWN)


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field,))
def frozen(cls: type[_Class]) -> type[_Class]:
    """Make *cls* what ``dataclass(frozen=True, slots=True, kw_only=True)`` makes it.

    A method ``__post_init__`` is called when a value is made.
    """
    made: type[_Class] = _made(cls, by_position=False)
    return made


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def positional(cls: type[_Class]) -> type[_Class]:
    """Make *cls* what `frozen` makes it, with fields that may also be given by position: for classes of few fields."""
    made: type[_Class] = _made(cls, by_position=True)
    return made


def _made(cls: Any, *, by_position: bool) -> Any:
    own = tuple(_declared(cls))
    made = _slotted(cls, own)
    every: tuple[Any, ...] = (*getattr(cls, _OWN, ()), *own)
    for name, item in ((_OWN, every), ("__match_args__", tuple(each.name for each in every) if by_position else ())):
        setattr(made, name, item)
    content = _content([each.name for each in every if each.compare])
    hashed = _content([each.name for each in every if (each.compare if each.hash is None else each.hash)])

    def equal(self: object, other: object) -> bool:
        """Return whether *other* is of the same class and has equal fields."""
        return content(self) == content(other) if type(other) is made else NotImplemented

    def hash_of(self: object) -> int:
        """Return the hash of the fields."""
        return hash(hashed(self))

    own_methods = {"__init__": _initializer(made, every, by_position=by_position), "__eq__": equal, "__hash__": hash_of}
    for name, method in {**_SHARED, **own_methods}.items():
        # Tracebacks and `help` show it.
        method.__name__ = method.__qualname__ = name
        setattr(made, name, method)
    made.__signature__ = _Signature(by_position=by_position)
    made.__dataclass_fields__ = _AS_DATACLASS
    return made


def _declared(cls: Any) -> list[Field]:
    """Return the fields that the body of *cls* declares."""
    found = []
    for name, kind in cls.__annotations__.items():
        if get_origin(kind) is ClassVar or kind is ClassVar:
            continue
        default = cls.__dict__.get(name, _MISSING)
        if type(default).__module__ == "dataclasses":
            default = _translated(default)
        each = default if isinstance(default, Field) else Field({} if default is _MISSING else {"default": default})
        each.name, each.type = name, kind
        found.append(each)
    return found


def _translated(foreign: Any) -> Field:
    """Return what was declared by the function `field` of dataclasses."""
    from dataclasses import MISSING

    names = ("compare", "default", "default_factory", "hash", "metadata", "repr")
    return Field({name: given for name in names if (given := getattr(foreign, name)) is not MISSING})


def _slotted(cls: Any, own: tuple[Field, ...]) -> Any:
    """Return *cls* made anew with a slot for each field: slots cannot be added to a class that is there."""
    names = {each.name for each in own} | {"__dict__", "__weakref__"}
    body = {name: item for name, item in cls.__dict__.items() if name not in names}
    body["__slots__"] = slots = _Slots((each.name, "") for each in own)
    made = type(cls)(cls.__name__, cls.__bases__, body)
    slots.owner = made
    made.__qualname__ = cls.__qualname__
    return made


class _Slots(dict[str, str]):
    """Names of fields, each with the text below it in the class: `help` looks here. It is read when asked for."""

    owner: Any = None

    def __getitem__(self, name: str) -> str:
        from pybuild.runtime.introspection import field_doc

        return field_doc(self.owner, name)


def _content(names: list[str]) -> Callable[[object], object]:
    return attrgetter(*names) if names else lambda _self: ()


def _initializer(cls: Any, every: tuple[Field, ...], *, by_position: bool) -> Callable[..., None]:
    order = tuple(each.name for each in every)
    names = set(order)
    defaults = {each.name: each.default for each in every if each.default is not _MISSING}
    factories = {each.name: each.default_factory for each in every if each.default_factory is not _MISSING}
    check: Callable[[object], None] | None = getattr(cls, "__post_init__", None)

    def initialize(self: object, **given: Any) -> None:
        """Set the fields, and check them."""
        if given.keys() != names:
            given = {**defaults, **{name: make() for name, make in factories.items() if name not in given}, **given}
            if given.keys() != names:
                wrong = ", ".join(sorted(names ^ given.keys()))
                raise TypeError(f"{cls.__name__}: fields missing or not known: {wrong}")
        for name, item in given.items():
            _put(self, name, item)
        if check is not None:
            check(self)

    def initialize_by_position(self: object, *items: Any, **given: Any) -> None:
        """Set the fields, given by name or in their order, and check them."""
        if len(items) > len(order) or not given.keys().isdisjoint(order[: len(items)]):
            raise TypeError(f"{cls.__name__}: too many fields, or one is given twice")
        initialize(self, **dict(zip(order, items, strict=False)), **given)

    return initialize_by_position if by_position else initialize


class _Signature:
    """What `help` shows of the arguments of a class, made when it is asked for: inspect is slow to import."""

    def __init__(self, *, by_position: bool) -> None:
        self._by_position = by_position

    def __get__(self, _instance: object, cls: Any) -> object:
        from pybuild.runtime.introspection import signature

        return signature(fields(cls), by_position=self._by_position)


class _AsDataclass:
    """What the functions of `dataclasses` look for in a class, made when they look."""

    def __get__(self, _instance: object, cls: Any) -> object:
        from pybuild.runtime.introspection import dataclass_fields

        cls.__dataclass_fields__ = found = dataclass_fields(cls.__name__, fields(cls))
        return found


_AS_DATACLASS = _AsDataclass()


def _shown(self: Any) -> str:
    """Return the text of an expression that makes the value, without the fields that are not shown."""
    shown = (f"{each.name}={getattr(self, each.name)!r}" for each in fields(self) if each.repr)
    return f"{type(self).__qualname__}({', '.join(shown)})"


def _reduced(self: Any) -> tuple[object, ...]:
    """Let a value cross to another process; it is checked again when it is made there."""
    return _remade, (type(self), {each.name: getattr(self, each.name) for each in fields(self)})


def _remade(cls: Any, content: dict[str, object]) -> object:
    return cls(**content)


def _refuse_change(self: object, name: str, _value: object) -> NoReturn:
    """Raise FrozenInstanceError: a value cannot be changed."""
    from dataclasses import FrozenInstanceError

    raise FrozenInstanceError(f"{name!r} of {type(self).__name__} cannot be changed")


def _refuse_removal(self: object, name: str) -> NoReturn:
    """Raise FrozenInstanceError: a value cannot be changed."""
    _refuse_change(self, name, None)


_SHARED: dict[str, Callable[..., object]] = {
    "__repr__": _shown,
    "__reduce__": _reduced,
    "__setattr__": _refuse_change,
    "__delattr__": _refuse_removal,
}
