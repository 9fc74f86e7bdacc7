import base64
import json
import os
from pathlib import Path

import pytest

from pybuild.builder.oci.registry.auth.credentials import CredentialFiles
from pybuild.builder.oci.registry.auth.tokens import Credentials


def write(path: Path, name: str, server: str = "a.com") -> str:
    """A file in which the user of *server* is called *name*."""
    auth = base64.b64encode(f"{name}:pw".encode()).decode()
    text = json.dumps({"auths": {server: {"auth": auth}}})
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return text


@pytest.fixture
def files(tmp_path: Path) -> CredentialFiles:
    return CredentialFiles(env={}, home=tmp_path / "home", run=tmp_path / "run")


def who(files: CredentialFiles) -> str:
    found = files.find("a.com", "x/y")
    return found.username if found else ""


def test_the_first_file_that_knows_the_server_counts(files: CredentialFiles, tmp_path: Path) -> None:
    assert who(files) == ""
    home = tmp_path / "home"
    places = [
        home / ".dockercfg",
        home / ".docker" / "config.json",
        home / ".config" / "containers" / "auth.json",
        tmp_path / "run" / "containers" / str(os.getuid()) / "auth.json",
    ]
    for number, path in enumerate(places):
        write(path, f"user{number}")
        assert who(files) == f"user{number}"
    write(places[-1], "other", server="b.com")
    assert who(files) == "user2"


def test_the_environment_says_where_the_files_are(tmp_path: Path) -> None:
    env: dict[str, str] = {}
    files = CredentialFiles(env=env, home=tmp_path, run=tmp_path / "run")
    write(tmp_path / ".docker" / "config.json", "home")
    for name, value, path in [
        ("XDG_CONFIG_HOME", tmp_path / "xdg", tmp_path / "xdg" / "containers" / "auth.json"),
        ("XDG_RUNTIME_DIR", tmp_path / "user", tmp_path / "user" / "containers" / "auth.json"),
        ("DOCKER_CONFIG", tmp_path / "docker", tmp_path / "docker" / "config.json"),
        ("REGISTRY_AUTH_FILE", tmp_path / "auth.json", tmp_path / "auth.json"),
    ]:
        env[name] = str(value)
        write(path, name)
        assert who(files) == name
    env["DOCKER_AUTH_CONFIG"] = write(tmp_path / "x", "inline")
    assert who(files) == "inline"


@pytest.mark.parametrize("name", ["DOCKER_CONFIG", "REGISTRY_AUTH_FILE"])
def test_a_file_that_the_environment_names_is_the_only_one(tmp_path: Path, name: str) -> None:
    write(tmp_path / ".docker" / "config.json", "home")
    assert who(CredentialFiles(env={name: str(tmp_path / "none")}, home=tmp_path, run=tmp_path)) == ""


def test_credentials_are_kept_where_docker_keeps_them(files: CredentialFiles, tmp_path: Path) -> None:
    path = files.keep("a.com", Credentials("me", "pw"))
    assert path == tmp_path / "home" / ".docker" / "config.json"
    assert who(files) == "me"
    assert files.forget("a.com")
    assert who(files) == ""
    assert not files.forget("a.com")


def test_a_helper_keeps_them_when_the_file_names_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "docker-credential-box"
    box = tmp_path / "box"
    program.write_text(
        f"#!/bin/sh\ncase $1 in store) cat > {box};; erase) rm {box};; get) cat {box} 2>/dev/null || "
        '{ echo "credentials not found in native keychain"; exit 1; };; esac\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    env = {"PATH": os.environ["PATH"], "DOCKER_CONFIG": str(tmp_path)}
    (tmp_path / "config.json").write_text('{"credsStore": "box"}')
    files = CredentialFiles(env=env, home=tmp_path)
    assert files.keep("a.com", Credentials("me", "pw")) is None
    assert "pw" not in (tmp_path / "config.json").read_text()
    assert files.find("a.com") == Credentials("me", "pw")
    assert files.forget("a.com")
    assert not box.exists()
    assert not files.forget("a.com")
