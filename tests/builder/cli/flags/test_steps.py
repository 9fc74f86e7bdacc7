"""What --secret, --ssh, --allow and the limits make of their values."""

import socket
from pathlib import Path
from typing import Any

import pytest

from pybuild.builder.cli.flags.steps import StepFlags
from pybuild.builder.errors import RequestError
from pybuild.builder.request import Changes, Planning, Secret


def values(env: dict[str, str] | None = None, **flags: Any) -> Changes:
    return StepFlags(**flags).request(env or {})


def ssh_keys(given: tuple[str, ...]) -> dict[str, tuple[Path, ...]]:
    return StepFlags(agents=given).ssh_keys({})


@pytest.mark.parametrize(
    ("given", "secret"),
    [
        ("id=a,src=/k", Secret(id="a", file=Path("/k"))),
        ("id=a,source=/k,type=file", Secret(id="a", file=Path("/k"))),
        ("src=/folder/k", Secret(id="k", file=Path("/folder/k"))),
        ("id=a,env=B", Secret(id="a", variable="B")),
        ("id=a,type=env,src=B", Secret(id="a", variable="B")),
        ("id=TOKEN", Secret(id="TOKEN", variable="TOKEN")),
        ("id=other", Secret(id="other", file=Path("other"))),
        ('"id=a","src=/a,b"', Secret(id="a", file=Path("/a,b"))),
    ],
)
def test_a_secret_is_a_file_or_a_variable(given: str, secret: Secret) -> None:
    assert values({"TOKEN": "x"}, secrets=(given,))["secrets"] == (secret,)


@pytest.mark.parametrize("given", ["id=a,foo=b", "type=file", "id", "id=a,type=vault"])
def test_a_malformed_secret_is_refused(given: str) -> None:
    with pytest.raises(RequestError, match="invalid --secret"):
        values(secrets=(given,))


def test_an_agent_is_a_socket(tmp_path: Path) -> None:
    path = tmp_path / "agent"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        assert values({"SSH_AUTH_SOCK": str(path)}, agents=("default",))["ssh"] == (("default", path),)
        assert values(agents=(f"git={path}",))["ssh"] == (("git", path),)


def test_an_agent_that_is_none_is_refused(tmp_path: Path) -> None:
    for given, env in (("default", {}), (f"a={tmp_path}/none", {})):
        with pytest.raises(RequestError, match="invalid --ssh"):
            values(env, agents=(given,))


def test_what_is_no_socket_is_a_list_of_keys(tmp_path: Path) -> None:
    one, two, agent = tmp_path / "one", tmp_path / "two", tmp_path / "agent"
    one.touch()
    two.touch()
    given = (f"git={one},{two}", f"={one}")
    assert values(agents=given)["ssh"] == ()
    assert ssh_keys(given) == {"git": (one, two), "default": (one,)}
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(agent))
        assert ssh_keys((f"x={agent}",)) == {}
        with pytest.raises(RequestError, match="only single socket allowed"):
            ssh_keys((f"x={one},{agent}",))
    with pytest.raises(RequestError, match="git is given twice"):
        ssh_keys((f"git={one}", f"git={two}"))


def test_entitlements_are_a_closed_list() -> None:
    assert values(allow=("network.host,security.insecure",))["allow"] == {"network.host", "security.insecure"}
    for given in ("security.Insecure", "", "device"):
        with pytest.raises(RequestError, match="invalid --allow"):
            Planning(allow=values(allow=(given,))["allow"])
