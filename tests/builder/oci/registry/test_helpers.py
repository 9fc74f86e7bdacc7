import json
import os
from pathlib import Path

import pytest

from builder.oci.errors import CredentialsError
from builder.oci.registry.auth_file import DOCKER_HUB, AuthFile
from builder.oci.registry.helpers import Helper
from builder.oci.registry.tokens import Credentials

PROGRAM = """#!/bin/sh
case $1 in
get) read -r server; echo "$server" >> {log}; env > {log}.env
     case $server in known*|https*) echo '{{"ServerURL":"x","Username":"me","Secret":"pw"}}';;
     token*) echo '{{"Username":"<token>","Secret":"it"}}';;
     none*) echo "credentials not found in native keychain"; exit 1;;
     odd*) echo 'no json';;
     slow*) exec sleep 60;;
     deaf*) exec > /dev/null; exec sleep 60;;
     much*) exec cat /dev/zero;;
     *) printf 'locked \\033[2J\\nmore'; exit 1;; esac;;
store) cat >> {log};;
erase) cat >> {log};;
esac
"""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture
def helper(tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch) -> Helper:
    program = tmp_path / "docker-credential-test"
    program.write_text(PROGRAM.format(log=log))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    env = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "HOME": "/h",
        "AWS_PROFILE": "p",
        "LD_PRELOAD": "x",
        "SECRET": "s",
    }
    return Helper(name="test", env=env, timeout=0.3)


def test_a_helper_is_asked_for_a_server(helper: Helper, log: Path) -> None:
    assert helper.get("known.com") == Credentials("me", "pw")
    assert helper.get("token.com") == Credentials(identity_token="it")
    assert helper.get("none.com") is None
    assert log.read_text().split() == ["known.com", "token.com", "none.com"]


def test_a_helper_sees_known_variables_only(helper: Helper, log: Path) -> None:
    helper.get("known.com")
    names = {line.partition("=")[0] for line in Path(f"{log}.env").read_text().splitlines()}
    assert {"PATH", "HOME", "AWS_PROFILE"} <= names
    assert not {"LD_PRELOAD", "SECRET"} & names


@pytest.mark.parametrize(
    ("server", "message"),
    [
        ("broken.com", r"docker-credential-test: failed for broken\.com: locked \?\[2J$"),
        ("odd.com", "answered with something else than credentials"),
        ("slow.com", "did not answer within 0.3 seconds"),
        ("deaf.com", "did not end within 0.3 seconds"),
        ("much.com", "printed more than"),
    ],
)
def test_a_helper_that_misbehaves_is_told_and_ended(helper: Helper, server: str, message: str) -> None:
    with pytest.raises(CredentialsError, match=message):
        helper.get(server)


@pytest.mark.parametrize("name", ["../../x", "/tmp/x", "a b", "A", "", "x\n", "$(id)"])
def test_the_name_of_a_helper_is_a_word(name: str) -> None:
    with pytest.raises(CredentialsError, match="invalid name of a credential helper"):
        Helper(name=name, env={}).get("a.com")


def test_a_helper_that_is_not_installed_is_told() -> None:
    with pytest.raises(CredentialsError, match="docker-credential-none-such: is not installed"):
        Helper(name="none-such", env={}).get("a.com")


def test_credentials_are_stored_and_erased(helper: Helper, log: Path) -> None:
    helper.store("a.com", Credentials("me", "pw"))
    assert json.loads(log.read_text()) == {"ServerURL": "a.com", "Username": "me", "Secret": "pw"}
    log.unlink()
    helper.store("a.com", Credentials(identity_token="it"))
    assert json.loads(log.read_text())["Username"] == "<token>"
    log.unlink()
    helper.erase("a.com")
    assert log.read_text() == "a.com"


def test_files_name_helpers(helper: Helper, log: Path) -> None:
    text = {"credHelpers": {"known.com": "test"}, "credsStore": "test", "auths": {"none.com": {"auth": "bWU6cHc="}}}
    file = AuthFile(json.dumps(text).encode(), "config.json", helper.env)
    assert file.find("known.com", "x/y") == Credentials("me", "pw")
    assert file.find("docker.io", "library/x") == Credentials("me", "pw")
    assert file.find("none.com") == Credentials("me", "pw")
    assert log.read_text().split() == ["known.com", DOCKER_HUB, "none.com"]
    assert file.helper_for("other.com") == Helper(name="test", env=helper.env)
