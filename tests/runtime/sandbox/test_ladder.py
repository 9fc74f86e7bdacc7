"""The rungs of this host, tried out."""

import pytest

from pybuild.runtime.errors import SandboxUnavailable
from pybuild.runtime.sandbox import isolation, privileges
from pybuild.runtime.sandbox.privileges import Ladder, Privileges
from tests.helpers.hosts import need_root


def test_root_of_this_host_has_all_rungs_whole() -> None:
    need_root()
    found = Ladder({})
    assert [(rung.name, rung.works, rung.missing) for rung in found.rungs] == [
        ("root", True, ()),
        ("userns", True, ()),
        ("single", True, ()),
        # Nothing keeps a root of the host from devices.
        ("chroot", False, ()),
        ("none", True, ()),
    ]
    assert found.used is not None
    assert found.used.name == "root"


def test_the_advice_is_that_of_the_rung(monkeypatch: pytest.MonkeyPatch) -> None:
    need_root()
    refused = Privileges(euid=0, reason="no", hint=isolation.IN_CONTAINER, missing=("proc",))
    monkeypatch.setattr(privileges, "probe", lambda *_, **__: refused)
    needs = [(rung.needs, rung.missing) for rung in Ladder({}).rungs]
    assert needs == [
        ("docker run --cap-add SYS_ADMIN ...", ()),
        ("docker run --security-opt seccomp=unconfined ...", ()),
        ("docker run --security-opt seccomp=unconfined ...", ()),
        ("a container, whose devices are controlled", ()),
        ("", ()),
    ]


def test_where_capabilities_were_dropped_one_more_is_not_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    need_root()
    refused = Privileges(euid=0, reason="no", hint=isolation.IN_CONTAINER)
    monkeypatch.setattr(privileges, "probe", lambda *_, **__: refused)
    monkeypatch.setattr(privileges, "capget", lambda: (1, 1, 0))
    assert [rung.needs for rung in Ladder({}).rungs[:3]] == [
        "docker run without --cap-drop, and with --cap-add SYS_ADMIN",
        "docker run without --cap-drop, and with --security-opt seccomp=unconfined",
        "docker run --cap-add SETFCAP --security-opt seccomp=unconfined ...",
    ]


def test_what_cannot_be_wanted_is_refused_at_once() -> None:
    with pytest.raises(SandboxUnavailable, match="unknown isolation"):
        Ladder({isolation.VARIABLE: "hyperv"})


@pytest.mark.parametrize("name", ["root", "supervisor"])
def test_a_supervisor_that_a_step_could_reach_is_no_rung(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    need_root()
    found = Privileges(euid=0, rootful=True, missing=("host name", name))
    monkeypatch.setattr(privileges, "probe", lambda *_, **__: found)
    single = next(rung for rung in Ladder({}).rungs if rung.name == "single")
    assert (single.works, "is permitted here" in single.reason) == (False, True)


def test_a_rung_that_is_asked_for_is_used_or_none() -> None:
    need_root()
    used = Ladder({isolation.VARIABLE: "single"}).used
    assert used is not None
    assert used.name == "single"
