"""The keywords of `Request.of`, which exist for type checkers only."""

import ast
import inspect
from dataclasses import fields
from typing import Any, TypedDict, get_type_hints

from pybuild.builder import request
from pybuild.builder.request import Request


def typed() -> dict[str, Any]:
    """Return the classes of keywords, which the module itself does not define when it runs."""
    (block,) = (
        node
        for node in ast.parse(inspect.getsource(request)).body
        if isinstance(node, ast.If) and any(isinstance(line, ast.ClassDef) for line in node.body)
    )
    names = {**vars(request), "TypedDict": TypedDict}
    exec(compile(ast.Module(block.body, []), request.__file__, "exec"), names)
    return names


def test_a_type_checker_knows_the_fields_of_every_part_with_their_types() -> None:
    parts = {each.name: each.type for part in fields(Request) for each in fields(part.type)}
    required, changes = typed()["RequestFields"], typed()["Changes"]
    assert get_type_hints(required) == get_type_hints(changes) == parts
    assert required.__required_keys__ == {"context"}
    assert not changes.__required_keys__
