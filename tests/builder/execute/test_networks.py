from contextlib import nullcontext

import pytest

from pybuild.builder.execute.networks import expecting, is_loopback, prepared
from pybuild.builder.plan.ops import Run
from pybuild.runtime.private_networks import pool, private
from pybuild.runtime.sandbox.spec import Network


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("http://127.0.0.1:3128", True),
        ("http://user:secret@localhost:3128/", True),
        ("localhost:3128", True),
        ("socks5://[::1]:1080", True),
        ("http://proxy.example:3128", False),
        ("http://[bad", False),
        ("", False),
    ],
)
def test_a_proxy_is_on_the_loopback_or_not(address: str, expected: bool) -> None:
    assert is_loopback(address) == expected


@pytest.mark.parametrize(
    ("asked", "root", "lacking", "failure", "expected"),
    [
        ("none", False, "", "", Network.NONE),
        ("host", False, "", "", Network.HOST),
        ("private", True, "", "", Network.PRIVATE),
        ("private", False, "no pasta", "", Network.PRIVATE),
        ("default", True, "", "", Network.HOST),
        ("default", False, "", "", Network.PRIVATE),
        ("default", False, "no pasta", "", Network.HOST),
        ("default", False, "", "it broke", Network.HOST),
    ],
)
def test_only_the_default_depends_on_the_host(
    monkeypatch: pytest.MonkeyPatch, asked: str, root: bool, lacking: str, failure: str, expected: Network
) -> None:
    monkeypatch.setattr(private, "is_root", lambda: root)
    monkeypatch.setattr(private, "missing", lambda: lacking)
    monkeypatch.setattr(pool, "start_ahead", lambda: None)
    monkeypatch.setattr(pool, "await_ahead", lambda: failure)
    said: list[str] = []
    told: list[tuple[str, str]] = []
    with prepared(Run(args=("x",), network=asked), said.append, lambda *each: told.append(each)) as network:
        assert network() is expected
    assert said == ([f"note: steps use the network of the host: {failure}"] if failure else [])
    missing = lacking if asked == "default" and not root else ""
    assert told == ([("network", f"steps use the network of the host: {missing}")] if missing else [])


def test_a_name_for_the_host_is_told_to_be_another_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "start_ahead", lambda: None)
    op = Run(args=("x",), network="private", hosts=(("host.docker.internal", "127.0.0.1"), ("db", "10.0.0.1")))
    said: list[str] = []
    with prepared(op, said.append, lambda *_: None) as network:
        assert network() is Network.PRIVATE
    (only,) = said
    assert only.startswith("note: host.docker.internal is the loopback interface of the step")


@pytest.mark.parametrize(
    ("asked", "root", "lacking", "expected"),
    [
        (["default", "private", "none"], True, "", 1),
        (["default", "private", "host"], False, "", 2),
        (["default", "private"], False, "no pasta", 1),
        (["none", "host"], False, "", None),
    ],
)
def test_as_many_networks_are_expected_as_steps_will_have_one_of_their_own(
    monkeypatch: pytest.MonkeyPatch, asked: list[str], root: bool, lacking: str, expected: int | None
) -> None:
    numbers: list[int] = []
    monkeypatch.setattr(private, "is_root", lambda: root)
    monkeypatch.setattr(private, "missing", lambda: lacking)
    monkeypatch.setattr(pool, "expecting", lambda steps: numbers.append(steps) or nullcontext())
    with expecting([Run(args=("x",), network=network) for network in asked]):
        assert numbers == ([] if expected is None else [expected])
