"""What `help`, `inspect`, `dataclasses` and messages ask of a class of values (`runtime.values`), made when they ask.

All of it needs modules that are slow to import, so nothing else loads this one.
"""

import ast
import dataclasses
import textwrap
from collections.abc import Iterable
from inspect import Parameter, Signature, getsource
from itertools import pairwise
from types import NoneType, UnionType
from typing import Any, get_args


def signature(fields: Iterable[Any], *, by_position: bool) -> Signature:
    """Return the arguments that make a value with these fields."""
    kind = Parameter.POSITIONAL_OR_KEYWORD if by_position else Parameter.KEYWORD_ONLY
    return Signature([Parameter(each.name, kind, default=_default(each), annotation=each.type) for each in fields])


def _default(each: Any) -> Any:
    given = each.defaults
    if "default_factory" in given:
        return given["default_factory"]()
    return given.get("default", Parameter.empty)


def dataclass_fields(name: str, fields: Iterable[Any]) -> Any:
    """Return the fields of the class *name* as a dataclass has them."""
    twin: Any = dataclasses.make_dataclass(name, [(each.name, each.type, _same(each)) for each in fields], kw_only=True)
    return twin.__dataclass_fields__


def _same(each: Any) -> Any:
    about = {name: getattr(each, name) for name in ("compare", "hash", "repr", "metadata")}
    return dataclasses.field(**about, **each.defaults)


def field_doc(cls: Any, name: str) -> str:
    """Return the text below the field *name* in the body of *cls*, "" when there is none, or no source.

    Python does not keep it, so it is read from the source.
    """
    try:
        (found,) = ast.parse(textwrap.dedent(getsource(cls))).body
    except (OSError, TypeError, SyntaxError, ValueError):  # no source, or one that is not a class statement alone
        return ""
    for field, text in pairwise(found.body if isinstance(found, ast.ClassDef) else ()):
        match field, text:
            case ast.AnnAssign(target=ast.Name(id=own)), ast.Expr(value=ast.Constant(value=str(doc))) if own == name:
                return doc
    return ""


def annotation_text(wanted: Any) -> str:
    """Return an annotation as one writes it."""
    if isinstance(wanted, UnionType):
        return " or ".join(map(annotation_text, get_args(wanted)))
    if wanted in {NoneType, ...}:
        return "None" if wanted is NoneType else "..."
    arguments = ", ".join(map(annotation_text, get_args(wanted)))
    return f"{wanted.__name__}[{arguments}]" if arguments else str(wanted.__name__)


def type_text(item: object) -> str:
    """Return the type of a value, for a tuple with the types of its items."""
    if isinstance(item, tuple):
        return f"tuple[{', '.join(map(type_text, item))}]"
    return type(item).__name__
