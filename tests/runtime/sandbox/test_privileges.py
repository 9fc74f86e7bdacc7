"""What the host permits, told honestly."""

import errno
import os

import pytest

from pybuild.runtime.kernel import syscalls
from pybuild.runtime.sandbox import privileges
from pybuild.runtime.sandbox.privileges import explain, probe
from pybuild.runtime.sandbox.subordinate_ids import IdMap
from tests.helpers.hosts import need_root
from tests.runtime.namespaces import in_mount_namespace


def test_root_on_this_host_can_do_everything() -> None:
    need_root()
    found = probe()
    assert (found.euid, found.rootful, found.sandbox, found.overlay) == (0, True, True, True)
    assert (found.reason, found.hint) == ("", "")


def test_what_a_sandbox_may_do_without_is_tried_as_well() -> None:
    need_root()
    assert probe().missing == ()


def test_a_user_namespace_is_tried_from_inside() -> None:
    need_root()
    found = probe(("namespaces", "root", "proc"), rung="userns")
    assert (found.rootful, found.missing, found.reason) == (True, (), "")


def test_only_what_is_asked_for_is_tried() -> None:
    found = probe(("user",))
    assert (found.rootful, found.overlay) == (False, False)
    assert found.reason == ""


def test_an_ordinary_user_is_told_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 65534)
    monkeypatch.setattr(privileges, "_try", lambda *_: ({"namespaces": errno.EPERM, "user": 0}, None))
    found = probe()
    assert (found.sandbox, found.rootful, found.user_namespaces, found.overlay) == (False, False, True, False)
    assert found.reason == "sandboxes need root, and this is user 65534"
    assert found.hint == "sudo pybuild ..."
    assert found.uid_map[0] == IdMap(0, 65534, 1)


def test_the_trials_fail_where_the_right_is_missing() -> None:
    def work() -> object:
        syscalls.prctl(syscalls.PR_CAPBSET_DROP, 21)  # CAP_SYS_ADMIN; an exec by root takes what the bounding set has
        return privileges._try(("namespaces", "overlay"))[0]

    assert in_mount_namespace(work) == f"{{'namespaces': {errno.EPERM}, 'overlay': {errno.EPERM}}}"


@pytest.mark.parametrize(
    ("number", "reason", "hint"),
    [
        (errno.EPERM, "root may not make namespaces and mounts here (operation not permitted)", "SYS_ADMIN"),
        (errno.ENOSYS, "lacks namespaces", "newer kernel"),
        (errno.ENOSPC, "limit of namespaces", "/proc/sys/user/max_mnt_namespaces"),
    ],
)
def test_each_refusal_has_a_reason_and_a_hint(number: int, reason: str, hint: str) -> None:
    need_root()
    error = explain(number)
    assert reason in str(error)
    assert hint in error.hint
