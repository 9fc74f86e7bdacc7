"""Contexts of Kaniko in git repositories, and who reads them."""

import base64
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pybuild.builder.cli.commands.build.executor_git import authorized, is_repository
from tests.helpers.program import Program
from tests.helpers.repositories import Repository
from tests.helpers.web import Web

_VARIABLES = ("GIT_USERNAME", "GIT_PASSWORD", "GIT_TOKEN", "GIT_AUTH_HEADER")


@pytest.fixture(autouse=True)
def _nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in _VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    Repository(tmp_path / "repositories").commit({"Dockerfile": "FROM scratch\nCOPY Dockerfile /\n"})
    with Web(repositories=tmp_path / "repositories") as served:
        yield served


@pytest.mark.parametrize(
    ("variables", "context", "user"),
    [
        ({"GIT_TOKEN": "t"}, "git://h.io/a", "t:"),
        ({"GIT_TOKEN": "t", "GIT_USERNAME": "u"}, "https://h.io/a.git#refs/heads/m", "t:"),
        ({"GIT_USERNAME": "u", "GIT_PASSWORD": "p"}, "git://H.io:8443/a", "u:p"),
        ({}, "git://t@h.io/a.git", "t:"),
        ({}, "git://u:p@h.io/a.git", "u:p"),
        ({"GIT_TOKEN": "t"}, "git://u:p@h.io/a.git", "t:"),
        ({}, "git://h.io/a@b.git", None),
        ({"GIT_TOKEN": "t"}, "https://h.io/a.tar", None),
        ({"GIT_TOKEN": "t"}, "dir:///a", None),
    ],
)
def test_the_user_is_the_one_that_kaniko_takes(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], context: str, user: str | None
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with authorized(context) as words:
        if user is None:
            assert words == ()
        else:
            assert words == ("--secret", "id=GIT_AUTH_HEADER.h.io,env=GIT_AUTH_HEADER")
            assert base64.b64decode(os.environ["GIT_AUTH_HEADER"].removeprefix("Basic ")).decode() == user
    assert "GIT_AUTH_HEADER" not in os.environ


def test_a_variable_of_the_user_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_AUTH_HEADER", "mine")
    with authorized("git://t@h.io/a"):
        pass
    assert os.environ["GIT_AUTH_HEADER"] == "mine"


@pytest.mark.parametrize(
    ("kind", "place", "expected"),
    [("git", "h/a", True), ("https", "h/a.git#b", True), ("https", "h/a.tar.gz", False), ("tar", "a.git", False)],
)
def test_a_repository_is_known_by_its_address(kind: str, place: str, *, expected: bool) -> None:
    assert is_repository(kind, place) is expected


@pytest.mark.parametrize("user", ["", "me:S3CR3T@"])
def test_a_repository_is_built_by_http_where_that_is_wanted(web: Web, tmp_path: Path, user: str) -> None:
    program = Program(store=tmp_path / "store", variables=(("GIT_PULL_METHOD", "http"),))
    context = f"git://{user}127.0.0.1:{web.port}/git/x#refs/heads/main"
    printed = program.run("executor", "--no-push", "-c", context)
    sent = {asked.headers.get("Authorization") for asked in web.requests}
    assert sent == {f"Basic {base64.b64encode(b'me:S3CR3T').decode()}" if user else None}
    assert "S3CR3T" not in printed.stdout + printed.stderr
