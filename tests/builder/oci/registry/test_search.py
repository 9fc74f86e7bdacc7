"""How the repositories of a registry are found."""

import json

import pytest

from pybuild.builder.oci.errors import RegistryError
from pybuild.builder.oci.registry.registry import Registry
from pybuild.builder.oci.registry.search import search
from tests.helpers.registry import Answer, FakeRegistry


def names(server: FakeRegistry, text: str, most: int = 25) -> list[str]:
    with Registry(server.name) as registry:
        return [found.name for found in search(registry, server.name, text, most)]


def test_a_server_without_a_search_is_asked_for_its_catalog_page_by_page() -> None:
    link = {"Link": '</v2/_catalog?n=1000&last=team%2Fa>; rel="next"'}
    with FakeRegistry() as server:
        for most in (25, 2):
            first, second = ({"repositories": each} for each in (["other/app", "team/a"], ["team/b", "Team2/c"]))
            server.answer("/v2/_catalog", Answer(body=json.dumps(first).encode(), headers=link))
            server.answer("/v2/_catalog", Answer(body=json.dumps(second).encode()))
            assert names(server, "team", most) == ["team/a", "team/b", "Team2/c"][:most]
        assert any("last=team%2Fa" in request.query for request in server.requests)


@pytest.mark.parametrize("body", [b"[]", b"{", b'{"results": 5}', b'{"results": [{"name": 5}]}', b'{"results": [{}]}'])
def test_an_answer_that_is_none(body: bytes) -> None:
    with FakeRegistry() as server:
        server.answer("/v1/search", Answer(body=body))
        with pytest.raises(RegistryError, match="the answer to the search is invalid"):
            names(server, "x")


def test_a_failure_is_no_reason_to_look_elsewhere() -> None:
    with FakeRegistry() as server:
        server.answer("/v1/search", Answer(status=403))
        with pytest.raises(RegistryError):
            names(server, "x")
        assert not any("_catalog" in request.path for request in server.requests)
