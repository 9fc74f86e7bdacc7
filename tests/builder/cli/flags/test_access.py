import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from pybuild.builder.cli.flags.access import parse_credentials
from pybuild.builder.errors import RequestError
from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.registry.auth.tokens import Credentials
from tests.builder.cli.conftest import BASE, Shop
from tests.helpers.images import tiny_image
from tests.helpers.registry import FakeRegistry

APP = "team/app"


def basic(pair: str) -> str:
    return "Basic " + base64.b64encode(pair.encode()).decode()


def auth_file(path: Path, server: FakeRegistry, pair: str) -> Path:
    path.write_text(json.dumps({"auths": {server.name: {"auth": base64.b64encode(pair.encode()).decode()}}}))
    return path


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeRegistry]:
    """A registry that wants to know who asks; the user's own files know somebody, whom no test wants."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("CONTAINERS_REGISTRIES_CONF", str(tmp_path / "none.conf"))
    monkeypatch.delenv("PYBUILD_CONFIG", raising=False)
    with FakeRegistry(token="secret") as fake:
        own = auth_file(tmp_path / "own.json", fake, "own:pw")
        monkeypatch.setenv("REGISTRY_AUTH_FILE", str(own))
        monkeypatch.setenv("DOCKER_AUTH_CONFIG", own.read_text())
        yield fake


def asked(server: FakeRegistry) -> set[str | None]:
    """Who asked for tokens."""
    return {request.headers.get("Authorization") for request in server.requests if request.path == "/token"}


@pytest.mark.parametrize("kind", ["creds", "authfile", "both"])
def test_pull_and_push_ask_as_the_command_line_says(
    shop: Shop, server: FakeRegistry, tmp_path: Path, kind: str
) -> None:
    source = BlobStore(tmp_path / "source")
    server.add(source, APP, "1", tiny_image(source, BASE).descriptor)
    file = str(auth_file(tmp_path / "given.json", server, "filed:pw"))
    flags, who = {
        "creds": (["--creds", "me:p:w"], "me:p:w"),
        "authfile": (["--authfile", file], "filed:pw"),
        "both": (["--authfile", file, "--creds", "me:pw"], "me:pw"),
    }[kind]
    name = f"{server.name}/{APP}:1"
    assert shop.run("pull", *flags, name).code == 0
    assert asked(server) == {basic(who)}
    server.requests.clear()
    assert shop.run("push", *flags, name).code == 0
    assert asked(server) == {basic(who)}


def test_an_authfile_that_knows_nobody_leaves_it_at_that(shop: Shop, server: FakeRegistry, tmp_path: Path) -> None:
    source = BlobStore(tmp_path / "source")
    server.add(source, APP, "1", tiny_image(source, BASE).descriptor)
    empty = tmp_path / "empty.json"
    empty.write_text("{}")
    assert shop.run("pull", "--authfile", str(empty), f"{server.name}/{APP}:1").code == 0
    assert asked(server) == {None}


def test_an_authfile_that_is_not_there_is_a_mistake(shop: Shop, tmp_path: Path) -> None:
    result = shop.run("pull", "--authfile", str(tmp_path / "none"), "127.0.0.1:1/x")
    assert result.code != 0
    assert "does not exist" in result.err


@pytest.mark.parametrize("given", ["", "me", "me:", ":secret"])
def test_credentials_that_are_not_whole_are_a_mistake_and_not_shown(given: str) -> None:
    with pytest.raises(RequestError, match=r"^invalid --creds: expected NAME:PASSWORD$"):
        parse_credentials(given)


def test_a_password_may_have_colons_and_is_in_no_representation() -> None:
    assert parse_credentials("me:a:b") == Credentials("me", "a:b")
    assert "a:b" not in repr(parse_credentials("me:a:b"))
