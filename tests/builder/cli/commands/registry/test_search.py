"""What a registry is asked for, and what is shown of its answer."""

import json

import pytest

from tests.builder.cli.conftest import Shop
from tests.helpers.registry import Answer, FakeRegistry

pytestmark = pytest.mark.usefixtures("no_registry_settings")

RESULTS = [
    {"name": "team/less", "description": "a\r\nb", "star_count": 3, "is_official": False, "is_automated": True},
    {"name": "team/more", "description": "x" * 60, "star_count": 40, "is_official": True},
]


def answer(results: list[dict[str, object]]) -> Answer:
    return Answer(body=json.dumps({"num_results": len(results), "results": results}).encode())


def test_the_search_of_a_server(shop: Shop, server: FakeRegistry) -> None:
    for _ in range(5):
        server.answer("/v1/search", answer(RESULTS))
    found = shop.run("search", "--limit", "7", f"{server.name}/te am&n=9")
    assert [line.split() for line in found.lines] == [
        ["NAME", "DESCRIPTION", "STARS", "OFFICIAL"],
        [f"{server.name}/team/more", "x" * 44 + "…", "40", "[OK]"],
        [f"{server.name}/team/less", "a", "b", "3"],
    ]
    assert server.requests[-1].query == "q=te%20am%26n%3D9&n=7"
    names = ("--format", "{{.Name}} {{.StarCount}} {{.IsAutomated}}")
    assert shop.run("search", *names, "--filter", "stars=4", f"{server.name}/x").lines == [
        f"{server.name}/team/more 40 "
    ]
    assert shop.run("search", *names, "--filter", "is-official=false", f"{server.name}/x").lines == [
        f"{server.name}/team/less 3 [OK]"
    ]
    assert "x" * 60 in shop.run("search", "--no-trunc", f"{server.name}/x").out
    assert len(shop.run("search", "--limit", "1", *names, f"{server.name}/x").lines) == 1


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--limit", "0", "x"), "outside the range of [1, 100]"),
        (("--limit", "101", "x"), "outside the range of [1, 100]"),
        (("--filter", "colour=red", "x"), "invalid filter 'colour=red'"),
        (("--filter", "stars=many", "x"), "give a number"),
        (("--filter", "stars=²", "x"), "give a number"),
        (("--filter", f"stars={'9' * 5000}", "x"), "give a number"),
        (("https://example.com/x",), "protocol scheme"),
    ],
)
def test_mistakes(shop: Shop, words: tuple[str, ...], reason: str) -> None:
    done = shop.run("search", *words)
    assert (done.code, reason in done.err) == (2, True), done.err
