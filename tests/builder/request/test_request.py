"""A request is made of parts, and each value is checked when it is made."""

from pathlib import Path

import pytest

from pybuild.builder.errors import RequestError
from pybuild.builder.request import Caches, Execution, Files, Planning, Request, Result


def test_fields_go_to_the_part_that_has_them() -> None:
    request = Request.of(context=Path("c"), tags=("a",), network="none", no_cache=True, resolv_conf="x")
    assert request == Request(
        files=Files(context=Path("c")),
        planning=Planning(network="none"),
        execution=Execution(resolv_conf="x"),
        result=Result(tags=("a",)),
        caches=Caches(no_cache=True),
    )


def test_a_changed_request_keeps_the_other_fields() -> None:
    request = Request.of(context=Path("c"), tags=("a",), network="none")
    changed = request.changed(network="host", target="t")
    assert (changed.planning.network, changed.planning.target, changed.result.tags) == ("host", "t", ("a",))
    assert changed.execution is request.execution


def test_a_field_that_no_part_has_is_a_mistake_of_the_program() -> None:
    with pytest.raises(TypeError, match="no such field of a request: networks"):
        Request.of(context=Path(), networks="none")
    with pytest.raises(TypeError, match="no such field of a request: networks"):
        Request.of(context=Path()).changed(networks="none")
    with pytest.raises(TypeError, match="context"):
        Request.of()


def test_a_part_is_checked_as_well() -> None:
    with pytest.raises(RequestError, match="invalid planning: expected Planning, not Caches"):
        Request(files=Files(context=Path()), planning=Caches())  # type: ignore[arg-type]
