import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from pybuild.builder.cli.commands.registry.login import registry_of
from tests.builder.cli.conftest import Shop
from tests.helpers.registry import Answer, FakeRegistry


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("REGISTRY_AUTH_FILE", "DOCKER_AUTH_CONFIG", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "PYBUILD_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    monkeypatch.setenv("CONTAINERS_REGISTRIES_CONF", str(tmp_path / "none.conf"))
    return tmp_path / "docker" / "config.json"


@pytest.fixture
def server() -> Iterator[FakeRegistry]:
    with FakeRegistry(token="secret") as fake:
        yield fake


def type_in(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    monkeypatch.setattr("pybuild.builder.cli.commands.registry.login.is_terminal", lambda _fd: False)


def test_a_login_is_checked_and_kept(
    shop: Shop, server: FakeRegistry, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    type_in(monkeypatch, "pw\n")
    result = shop.run("login", "-u", "me", "--password-stdin", server.name)
    assert (result.code, result.out) == (0, "Login Succeeded\n")
    assert f"stored unencrypted in '{config}'" in result.err
    auth = base64.b64encode(b"me:pw").decode()
    assert json.loads(config.read_text()) == {"auths": {server.name: {"auth": auth}}}
    assert server.requests[1].headers["Authorization"] == f"Basic {auth}"
    again = shop.run("login", server.name)
    assert (again.code, again.out) == (0, "Login Succeeded\n")
    assert "Authenticating with existing credentials..." in again.err
    assert shop.run("logout", server.name).out == f"Removing login credentials for {server.name}\n"
    assert json.loads(config.read_text()) == {"auths": {}}
    assert shop.run("logout", server.name).out == f"Not logged in to {server.name}\n"


def test_a_wrong_password_is_not_kept(shop: Shop, server: FakeRegistry, config: Path) -> None:
    server.answer("/token", Answer(status=401))
    result = shop.run("login", "-u", "me", "-p", "wrong", server.name)
    assert result.code == 4
    assert "status 401" in result.err
    assert "Use --password-stdin" in result.err
    assert not config.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--password-stdin",), "Must provide --username with --password-stdin"),
        (("-u", "me", "-p", "x", "--password-stdin"), "mutually exclusive"),
        (("-p", "x"), "a password needs a user name"),
        (("-u", "a:b", "-p", "x"), "must not have a colon"),
        (("-u", "me"), "Cannot perform an interactive login from a non TTY device"),
        ((), "Cannot perform an interactive login from a non TTY device"),
    ],
)
def test_what_is_missing_is_told(
    shop: Shop,
    server: FakeRegistry,
    config: Path,
    arguments: tuple[str, ...],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    type_in(monkeypatch, "pw")
    result = shop.run("login", *arguments, server.name)
    assert result.code == 2
    assert message in result.err
    assert server.requests == []


def test_credentials_of_another_file_are_mentioned_at_logout(
    shop: Shop, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    auth = base64.b64encode(b"me:pw").decode()
    monkeypatch.setenv("DOCKER_AUTH_CONFIG", json.dumps({"auths": {"a.com": {"auth": auth}}}))
    result = shop.run("logout", "a.com")
    assert result.out == "Not logged in to a.com\n"
    assert "DOCKER_AUTH_CONFIG" in result.err


@pytest.mark.parametrize(
    ("server", "registry"),
    [
        (None, "docker.io"),
        ("https://index.docker.io/v1/", "docker.io"),
        ("registry-1.docker.io", "docker.io"),
        ("https://a.com:5000/v2/", "a.com:5000"),
        ("a.com", "a.com"),
    ],
)
def test_a_registry_may_be_given_as_an_address(server: str | None, registry: str) -> None:
    assert registry_of(server) == registry


def test_a_file_of_ones_own_keeps_credentials_and_tells_whose(
    shop: Shop, server: FakeRegistry, config: Path, tmp_path: Path
) -> None:
    own = str(tmp_path / "own.json")
    assert shop.run("login", "-u", "me", "-p", "pw", "--authfile", own, server.name).out == "Login Succeeded\n"
    assert not config.exists()
    assert shop.run("login", "--get-login", "--authfile", own, server.name).out == "me\n"
    other = shop.run("login", "--get-login", server.name)
    assert (other.code, other.err) == (1, f"ERROR: not logged into {server.name}\n")
    removed = shop.run("logout", "--authfile", own, server.name)
    assert removed.out == f"Removing login credentials for {server.name}\n"
    assert shop.run("login", "--get-login", "--authfile", own, server.name).code == 1


def test_a_file_that_is_damaged_is_named(shop: Shop, config: Path) -> None:
    config.parent.mkdir()
    config.write_text("not json")
    result = shop.run("login", "--get-login", "registry.example")
    assert (result.code, result.err.startswith(f"ERROR: {config}: is not valid JSON (line 1, column 1)")) == (1, True)
