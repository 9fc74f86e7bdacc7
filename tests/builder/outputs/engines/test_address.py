import hashlib
import json
from pathlib import Path

import pytest

from pybuild.builder.errors import RequestError
from pybuild.builder.outputs.engines.address import DEFAULT, Address, chosen_address, parse_address


def write_context(configuration: Path, name: str, host: object) -> Path:
    """Write a context as Docker's client stores it; return the directory for its certificates."""
    directory = hashlib.sha256(name.encode()).hexdigest()
    meta = configuration / "contexts" / "meta" / directory / "meta.json"
    meta.parent.mkdir(parents=True)
    meta.write_text(json.dumps({"Name": name, "Endpoints": {"docker": {"Host": host, "SkipTLSVerify": False}}}))
    return configuration / "contexts" / "tls" / directory / "docker"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "unix:///run/user/1/docker.sock",
            Address(text="unix:///run/user/1/docker.sock", socket="/run/user/1/docker.sock"),
        ),
        ("tcp://10.0.0.1:1234", Address(text="tcp://10.0.0.1:1234", host="10.0.0.1", port=1234)),
        ("tcp://[::1]", Address(text="tcp://[::1]", host="::1", port=2375)),
    ],
)
def test_an_address_is_a_socket_or_a_host(text: str, expected: Address) -> None:
    assert parse_address(text) == expected


def test_tls_has_a_port_of_its_own(tmp_path: Path) -> None:
    assert parse_address("tcp://h", tls=tmp_path).port == 2376


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("/var/run/docker.sock", "invalid address"),
        ("unix://relative", "invalid address"),
        ("tcp://", "invalid address"),
        ("tcp://h:port", "invalid address"),
        ("npipe:////./pipe/docker", "invalid address"),
        ("ssh://host", "ssh is not supported"),
        ("https://host", "needs certificates"),
    ],
)
def test_an_address_that_no_daemon_has_is_refused(text: str, problem: str) -> None:
    with pytest.raises(RequestError, match=problem):
        parse_address(text)


def test_nothing_set_is_no_choice(tmp_path: Path) -> None:
    assert chosen_address("", {"HOME": str(tmp_path)}) is None
    assert chosen_address("", {"DOCKER_CONTEXT": "default", "HOME": str(tmp_path)}) is None
    assert chosen_address("default", {"HOME": str(tmp_path)}) == DEFAULT


def test_the_environment_comes_before_contexts_as_in_docker(tmp_path: Path) -> None:
    for name in ("one", "two", "three"):
        write_context(tmp_path, name, f"unix:///{name}")
    (tmp_path / "config.json").write_text('{"currentContext": "three"}')
    env = {"DOCKER_CONFIG": str(tmp_path)}
    chosen = [
        chosen_address("", env),
        chosen_address("", {**env, "DOCKER_CONTEXT": "two"}),
        chosen_address("", {**env, "DOCKER_CONTEXT": "two", "DOCKER_HOST": "unix:///host"}),
        chosen_address("one", {**env, "DOCKER_HOST": "unix:///host"}),
    ]
    assert [each.socket for each in chosen if each] == ["/three", "/two", "/host", "/one"]


def test_certificates_of_the_environment_and_of_a_context(tmp_path: Path) -> None:
    certificates = write_context(tmp_path, "far", "tcp://far")
    certificates.mkdir(parents=True)
    env = {"DOCKER_CONFIG": str(tmp_path)}
    far = chosen_address("far", env)
    assert far is not None
    assert (far.tls, far.verify, far.port) == (certificates, True, 2376)
    near = chosen_address("", {**env, "DOCKER_HOST": "tcp://near", "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": "/c"})
    assert near is not None
    assert (near.tls, near.verify) == (Path("/c"), True)
    unverified = chosen_address("", {**env, "DOCKER_HOST": "tcp://near", "DOCKER_TLS": "1"})
    assert unverified is not None
    assert (unverified.tls, unverified.verify) == (tmp_path, False)


@pytest.mark.parametrize("host", [None, 3, ["unix:///x"]])
def test_a_context_without_an_address_is_refused(tmp_path: Path, host: object) -> None:
    write_context(tmp_path, "odd", host)
    with pytest.raises(RequestError, match="'odd' has no address"):
        chosen_address("odd", {"DOCKER_CONFIG": str(tmp_path)})
    with pytest.raises(RequestError, match="no context 'other'"):
        chosen_address("other", {"DOCKER_CONFIG": str(tmp_path)})
