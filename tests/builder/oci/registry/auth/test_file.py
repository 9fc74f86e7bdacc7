import base64
import json
import os
from pathlib import Path

import pytest

from pybuild.builder.oci.errors import CredentialsError
from pybuild.builder.oci.registry.auth.file import DOCKER_HUB, AuthFile, forget, keep, read_auth_file
from pybuild.builder.oci.registry.auth.tokens import Credentials


def auth(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def file(**auths: object) -> AuthFile:
    return AuthFile(json.dumps({"auths": auths}).encode(), "config.json", {})


@pytest.mark.parametrize(
    ("entry", "credentials"),
    [
        ({"auth": auth("me:pw")}, Credentials("me", "pw")),
        ({"auth": auth("me:p:w")}, Credentials("me", "p:w")),
        ({"auth": base64.encodebytes(b"me:" + 80 * b"x").decode()}, Credentials("me", 80 * "x")),
        ({"auth": auth("me:pw") + "\r\n"}, Credentials("me", "pw")),
        ({"username": "me", "password": "pw"}, Credentials("me", "pw")),
        ({"auth": auth("me:"), "identitytoken": "it"}, Credentials("me", "", identity_token="it")),
        ({"registrytoken": "rt"}, Credentials(registry_token="rt")),
        ({}, None),
        ({"auth": auth("me:")}, None),
    ],
)
def test_an_entry_is_read_in_all_its_forms(entry: dict[str, str], credentials: Credentials | None) -> None:
    assert file(**{"a.com": entry}).find("a.com") == credentials


@pytest.mark.parametrize("key", ["a.com", "https://a.com", "https://a.com/v2/", "http://a.com/v1", "a.com/"])
def test_the_key_may_be_an_address(key: str) -> None:
    assert file(**{key: {"auth": auth("me:pw")}}).find("a.com", "x/y") == Credentials("me", "pw")


@pytest.mark.parametrize("key", ["evil.com", "a.com.evil.com", "a.com:5000", "b.a.com", "a.com/team/apps"])
def test_credentials_for_another_place_are_not_taken(key: str) -> None:
    assert file(**{key: {"auth": auth("me:pw")}}).find("a.com", "team/app") is None


def test_the_longest_name_counts() -> None:
    entries = {key: {"auth": auth(f"{key}:pw")} for key in ("a.com", "a.com/team", "a.com/team/app", "a.com/tea")}
    for repository, name in [("team/app", "a.com/team/app"), ("team/b", "a.com/team"), ("t/app", "a.com")]:
        found = file(**entries).find("a.com", repository)
        assert found is not None
        assert found.username == name


@pytest.mark.parametrize("key", [DOCKER_HUB, "docker.io", "index.docker.io", "registry-1.docker.io"])
def test_docker_hub_has_many_names(key: str) -> None:
    assert file(**{key: {"auth": auth("me:pw")}}).find("docker.io", "library/x") == Credentials("me", "pw")


def test_the_oldest_file_has_the_entries_at_the_top() -> None:
    raw = json.dumps({"a.com": {"auth": auth("me:pw")}}).encode()
    assert AuthFile(raw, "/home/me/.dockercfg", {}).find("a.com") == Credentials("me", "pw")


@pytest.mark.parametrize(
    "raw",
    [
        b"{",
        b"[]",
        b'{"auths": 3}',
        b'{"auths": {"a.com": 3}}',
        b'{"auths": {"a.com": {"auth": "?"}}}',
        b'{"auths": {"a.com": {"auth": 3}}}',
        b'{"credsStore": 3}',
        b'{"credHelpers": {"a.com": 3}}',
    ],
)
def test_a_file_that_is_wrong_is_named_and_not_shown(raw: bytes) -> None:
    with pytest.raises(CredentialsError, match=r"config\.json: "):
        AuthFile(raw, "config.json", {}).find("a.com")


def test_a_file_that_is_not_there_is_none(tmp_path: Path) -> None:
    assert read_auth_file(tmp_path / "x" / "config.json", {}) is None


def test_the_file_of_a_pipe_is_there_for_every_registry() -> None:
    reading, writing = os.pipe()
    try:
        os.write(writing, b'{"auths":{"a.com":{"auth":"bWU6cHc="},"b.com":{"auth":"bWU6cHc="}}}')
        os.close(writing)
        for registry in ("a.com", "b.com"):
            file = read_auth_file(Path(f"/dev/fd/{reading}"), {})
            assert file is not None
            assert file.find(registry) == Credentials("me", "pw")
    finally:
        os.close(reading)


def test_what_is_kept_is_found_and_everything_else_stays(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "config.json"
    keep(path, "a.com", Credentials("me", "pw"))
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_text(json.dumps({**json.loads(path.read_text()), "HttpHeaders": {"X": "y"}, "credHelpers": {"b": "c"}}))
    keep(path, "docker.io", Credentials("hub", "pw"))
    keep(path, "a.com", Credentials("you", "pw2"))
    document = json.loads(path.read_text())
    assert document["HttpHeaders"] == {"X": "y"}
    assert document["auths"] == {"a.com": {"auth": auth("you:pw2")}, DOCKER_HUB: {"auth": auth("hub:pw")}}
    assert forget(path, "a.com")
    assert not forget(path, "a.com")
    assert json.loads(path.read_text())["auths"] == {DOCKER_HUB: {"auth": auth("hub:pw")}}
    assert [item.name for item in path.parent.iterdir()] == ["config.json"]


def test_a_name_of_255_bytes_still_has_room_for_its_temporary_one(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 255)
    keep(path, "a.com", Credentials("me", "pw"))
    assert json.loads(path.read_text())["auths"] == {"a.com": {"auth": auth("me:pw")}}


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real.json").write_text("{}")
    (tmp_path / "config.json").symlink_to("real.json")
    keep(tmp_path / "config.json", "a.com", Credentials(identity_token="it"))
    assert (tmp_path / "config.json").is_symlink()
    assert json.loads((tmp_path / "real.json").read_text())["auths"] == {"a.com": {"identitytoken": "it"}}


def test_a_damaged_file_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{broken")
    with pytest.raises(CredentialsError):
        keep(tmp_path / "config.json", "a.com", Credentials("me", "pw"))
    assert (tmp_path / "config.json").read_text() == "{broken"
