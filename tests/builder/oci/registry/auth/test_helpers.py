import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from pybuild.builder.oci.errors import CredentialsError, HelperMissing
from pybuild.builder.oci.registry.auth.file import DOCKER_HUB, AuthFile
from pybuild.builder.oci.registry.auth.helpers import Helper
from pybuild.builder.oci.registry.auth.tokens import Credentials

PROGRAM = """#!/bin/sh
case $1 in
get) read -r server; echo "$server" >> {log}; env > {log}.env
     case $server in known*|https*) echo '{{"ServerURL":"x","Username":"me","Secret":"pw"}}';;
     token*) echo '{{"Username":"<token>","Secret":"it"}}';;
     none*) echo "credentials not found in native keychain"; exit 1;;
     odd*) echo 'no json';;
     agent*) sleep 60 >/dev/null & echo '{{"Username":"me","Secret":"pw"}}';;
     quiet*) echo "no D-Bus" >&2; exit 3;;
     mute*) exit 7;;
     slow*) echo "waiting for a key" >&2; exec sleep 60;;
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
        "VAULT_ADDR": "https://vault.test",
        "WSL_INTEROP": "/run/WSL/8_interop",
    }
    return Helper(name="test", env=env, timeout=20)


def test_a_helper_is_asked_for_a_server(helper: Helper, log: Path) -> None:
    assert helper.get("known.com") == Credentials("me", "pw")
    assert helper.get("token.com") == Credentials(identity_token="it")
    assert helper.get("none.com") is None
    assert log.read_text().split() == ["known.com", "token.com", "none.com"]


def test_a_helper_sees_the_variables_of_the_shell(helper: Helper, log: Path) -> None:
    helper.get("known.com")
    seen = dict(line.partition("=")[::2] for line in Path(f"{log}.env").read_text().splitlines())
    assert {key: seen[key] for key in helper.env} == dict(helper.env)


def test_a_helper_that_leaves_an_agent_behind_is_not_waited_for(helper: Helper) -> None:
    assert helper.get("agent.com") == Credentials("me", "pw")


@pytest.mark.parametrize(
    ("server", "message"),
    [
        ("broken.com", r"docker-credential-test: failed for broken\.com: locked \?\[2J$"),
        ("odd.com", "did not answer with credentials"),
        ("quiet.com", r"failed for quiet\.com: no D-Bus$"),
        ("mute.com", "exit code 7 and no reason given"),
        ("slow.com", "did not answer within 1 seconds: waiting for a key"),
        ("deaf.com", "did not end within 1 seconds"),
        ("much.com", "printed more than"),
    ],
)
def test_a_helper_that_misbehaves_is_told_and_ended(helper: Helper, server: str, message: str) -> None:
    # Only those that would never end are not waited for: a busy machine takes its time with the others.
    patience = 1 if server.startswith(("slow", "deaf")) else helper.timeout
    with pytest.raises(CredentialsError, match=message):
        replace(helper, timeout=patience).get(server)


@pytest.mark.parametrize("name", ["../../x", "/tmp/x", "a b", ".a", "..", "", "x\n", "$(id)", "a/b", "é", "a" * 101])
def test_the_name_of_a_helper_is_a_word(name: str) -> None:
    with pytest.raises(CredentialsError, match="invalid name of a credential helper"):
        Helper(name=name, env={}).get("a.com")


@pytest.mark.parametrize("name", ["desktop.exe", "Wincred", "my_helper", "ecr-login", "gcr", "v1.2"])
def test_a_name_may_have_dots_capitals_and_underscores(helper: Helper, tmp_path: Path, name: str) -> None:
    (tmp_path / f"docker-credential-{name}").symlink_to(tmp_path / "docker-credential-test")
    assert replace(helper, name=name).get("known.com") == Credentials("me", "pw")


def test_a_helper_that_is_not_installed_is_told() -> None:
    with pytest.raises(HelperMissing, match="docker-credential-none-such is not installed"):
        Helper(name="none-such", env={}).get("a.com")


@pytest.mark.parametrize("path", [".", "", "bin", ":"])
def test_a_helper_is_not_looked_for_where_the_build_happens_to_run(
    helper: Helper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    (tmp_path / "bin").symlink_to(tmp_path)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(HelperMissing):
        replace(helper, env={"PATH": path}).get("known.com")


def test_another_place_counts_when_a_helper_is_not_installed() -> None:
    named = {"credHelpers": {"a.com": "none-such"}, "auths": {"a.com": {"auth": "bWU6cHc="}}}
    assert AuthFile(json.dumps(named).encode(), "config.json", {}).find("a.com") == Credentials("me", "pw")
    del named["auths"]
    with pytest.raises(HelperMissing):
        AuthFile(json.dumps(named).encode(), "config.json", {}).find("a.com")


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
