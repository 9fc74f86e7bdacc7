"""Namespaces that are shared, and what may be set in those that are not."""

from typing import Any

import pytest

from pybuild.builder.cli.flags.container.namespaces import NamespaceFlags
from pybuild.builder.containers.config import Namespaces
from pybuild.builder.errors import RequestError


def found(*, host_network: bool = False, hostname: str | None = None, **flags: Any) -> Namespaces:
    return NamespaceFlags(**flags).namespaces(host_network=host_network, hostname=hostname)


def test_without_flags_a_container_has_its_own() -> None:
    assert found() == Namespaces() == found(ipc="private", cgroupns="private")


def test_those_of_the_host() -> None:
    assert found(ipc="host", uts="host", cgroupns="host").shared == ("ipc", "uts", "cgroup")
    assert found(ipc="shareable").ipc == "shareable"
    assert found(sysctls=("net.ipv4.ip_forward=1", "kernel/shmmax=5")).sysctls == (
        ("net.ipv4.ip_forward", "1"),
        ("kernel/shmmax", "5"),
    )


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        ({"ipc": "container:"}, "invalid IPC mode"),
        ({"uts": "private"}, "invalid UTS mode"),
        ({"cgroupns": "x"}, "invalid cgroup namespace mode"),
        ({"userns": "keep-id"}, "invalid USER mode"),
        ({"pid": "private"}, "invalid PID mode"),
        ({"uts": "host", "hostname": "h"}, "conflicting options"),
        ({"uts": "host", "domainname": "d"}, "conflicting options"),
        ({"oom_score_adj": 1001}, "range for oom score adj"),
        ({"sysctls": ("net.core.somaxconn=1",), "host_network": True}, "host network namespace"),
        ({"sysctls": ("kernel.msgmax=1",), "ipc": "host"}, "IPC namespace"),
        ({"sysctls": ("kernel.panic=1",)}, "is not allowed"),
        ({"sysctls": ("net.ipv4=",), "host_network": True}, "host network"),
        ({"sysctls": ("net",)}, "invalid sysctl"),
        ({"sysctls": ("net..x=1",)}, "invalid sysctl"),
        ({"sysctls": ("net/../kernel/panic=1",)}, "invalid sysctl"),
        ({"sysctls": ("net.ipv4.=1",)}, "invalid sysctl"),
    ],
)
def test_what_is_refused(flags: dict[str, Any], reason: str) -> None:
    with pytest.raises(RequestError, match=reason):
        found(**flags)
