from dataclasses import fields
from typing import get_type_hints

from pybuild.builder.request import Request
from pybuild.builder.request.keywords import Changes, RequestFields


def test_a_type_checker_knows_the_fields_of_every_part_with_their_types() -> None:
    parts = {each.name: each.type for part in fields(Request) for each in fields(part.type)}
    assert get_type_hints(RequestFields) == get_type_hints(Changes) == parts
    assert RequestFields.__required_keys__ == {"context"}
    assert not Changes.__required_keys__
