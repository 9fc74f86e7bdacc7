"""An ordinary user as root of a namespace: what is refused, and why; tests/e2e/test_rootless.py builds with it."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pybuild.runtime.errors import SandboxUnavailable
from pybuild.runtime.sandbox import entering, isolation, user_namespace
from pybuild.runtime.sandbox.user_namespace import become_root


@pytest.fixture
def ordinary(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """User 4242 with ids of its own, and a program for each map; the files stand in the directory that is returned."""
    monkeypatch.setattr(os, "geteuid", lambda: 4242)
    monkeypatch.setattr(os, "getegid", lambda: 4243)
    for name in ("subuid", "subgid"):
        (tmp_path / name).write_text("4242:500000:65536\n")
    files = (("newuidmap", tmp_path / "subuid"), ("newgidmap", tmp_path / "subgid"))
    monkeypatch.setattr(user_namespace, "_WRITERS", files)
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    return tmp_path


def test_root_stays_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    before = os.readlink("/proc/self/ns/user")
    become_root()
    assert os.readlink("/proc/self/ns/user") == before


def test_the_user_is_zero_and_its_ids_follow(ordinary: Path) -> None:
    command = user_namespace._command("newgidmap", ordinary / "subgid", 4243)
    assert command == ["/usr/bin/newgidmap", str(os.getpid()), "0", "4243", "1", "1", "500000", "65536"]


def test_a_missing_program_is_named_with_its_package(ordinary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ordinary
    monkeypatch.setattr("shutil.which", lambda _: None)
    with pytest.raises(SandboxUnavailable, match="user 4242 need the program newuidmap") as caught:
        become_root()
    assert "package uidmap" in caught.value.hint
    assert caught.value.command == "sudo apt-get install uidmap"


def test_too_few_ids_are_refused_before_anything_is_done(ordinary: Path) -> None:
    (ordinary / "subgid").write_text("4242:500000:1000\n")
    with pytest.raises(SandboxUnavailable, match=r"no 65535 subordinate ids in .*subgid") as caught:
        become_root()
    # From the first multiple of 65536 that is past what anybody has.
    assert caught.value.command == caught.value.hint.replace("as root:", "sudo")
    assert caught.value.hint.endswith("usermod --add-subuids 589824-655359 --add-subgids 589824-655359 4242")


def test_ids_that_reach_up_to_nobody_are_enough(ordinary: Path) -> None:
    (ordinary / "subgid").write_text("other:1:2\n4242:500000:65535\n")
    assert user_namespace._command("newgidmap", ordinary / "subgid", 4243)[-1] == "65535"
    (ordinary / "subgid").write_text("4242:500000:30000\n4242:700000:35535\n")
    assert user_namespace._command("newgidmap", ordinary / "subgid", 4243)[-3:] == ["30001", "700000", "35535"]


@pytest.mark.parametrize("setting", ["", "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0"])
def test_a_root_without_rights_is_told_which_setting_takes_them(
    ordinary: Path, monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    """AppArmor lets a user make a namespace, but not be root of it."""

    def refuse(*_: int) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    assert ordinary
    monkeypatch.setattr(user_namespace, "need_one_thread", lambda: None)
    monkeypatch.setattr(user_namespace, "enter", lambda: None)
    monkeypatch.setattr(user_namespace, "_run", lambda _: "")
    monkeypatch.setattr(user_namespace, "permitting_namespaces", lambda: setting)
    monkeypatch.setattr(os, "setresgid", refuse)
    with pytest.raises(SandboxUnavailable, match=r"has no rights on this host \(operation not permitted\)") as caught:
        become_root()
    assert (caught.value.hint, caught.value.command) == (setting or isolation.IN_CONTAINER, setting)


def test_root_has_all_ids_that_it_had(tmp_path: Path) -> None:
    (tmp_path / "uid_map").write_text("         0          0 4294967295\n")
    assert user_namespace._same(tmp_path / "uid_map") == "0 0 1\n1 1 4294967294\n"
    (tmp_path / "uid_map").write_text("0 1000 1\n1 100000 65536\n")
    assert user_namespace._same(tmp_path / "uid_map") == "0 0 1\n1 1 65536\n"


@pytest.mark.parametrize(
    ("mode", "no_new", "refusal", "hint"),
    [
        (0o755, False, "newuidmap: write to uid_map failed: Operation not permitted", "chmod u+s"),
        (0o4755, False, "newuidmap: write to uid_map failed: Operation not permitted", "setcap cap_setuid=ep"),
        (0o4755, True, "newuidmap: write to uid_map failed: Operation not permitted", "allowPrivilegeEscalation"),
        (0o4755, False, "newuidmap: uid range [0-1) -> [1-2) not allowed", "/etc/subuid"),
    ],
)
def test_a_map_that_was_refused_names_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int, no_new: bool, refusal: str, hint: str
) -> None:
    program = tmp_path / "program"
    program.touch()
    program.chmod(mode)
    monkeypatch.setattr("shutil.which", lambda _: os.fspath(program))
    monkeypatch.setattr(user_namespace, "_no_new_privileges", lambda: no_new)
    error = user_namespace._mapping_error(4242, refusal)
    assert str(error) == f"user 4242 could not be given its ids: {refusal}"
    assert hint in error.hint


@pytest.mark.parametrize(
    ("number", "reason", "hint"),
    [
        (errno.ENOSPC, "switched off", "max_user_namespaces"),
        (errno.EPERM, r"lets user 4242 make no user namespace \(operation not permitted\)", "seccomp profile off"),
        (errno.EINVAL, "several threads", "at the start"),
    ],
)
def test_each_refusal_of_the_kernel_is_explained_and_leaves_no_process(
    ordinary: Path, monkeypatch: pytest.MonkeyPatch, number: int, reason: str, hint: str
) -> None:
    def refuse(_: int) -> None:
        raise OSError(number, os.strerror(number))

    def fork() -> int:
        forked.append(real())
        return forked[-1]

    assert ordinary
    forked: list[int] = []
    real = os.fork
    # The tests may run in a process that has other threads.
    monkeypatch.setattr(user_namespace, "need_one_thread", lambda: None)
    monkeypatch.setattr(os, "fork", fork)
    monkeypatch.setattr(entering, "unshare", refuse)
    with pytest.raises(SandboxUnavailable, match=reason) as caught:
        become_root()
    assert hint in caught.value.hint
    with pytest.raises(ChildProcessError):
        os.waitpid(forked[0], os.WNOHANG)


def test_a_map_that_is_refused_is_an_error(ordinary: Path) -> None:
    # In a process of its own: it does enter a user namespace, in which root has no map.
    script = f"""
import os
from pathlib import Path
from pybuild.runtime.sandbox import entering, isolation, user_namespace
os.geteuid = lambda: 4242
user_namespace._WRITERS = (("false", Path({str(ordinary / "subuid")!r})),) * 2
try:
    user_namespace.become_root()
except user_namespace.SandboxUnavailable as error:
    print(error, "|", error.hint)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("user 4242 could not be given its ids: /usr/bin/false failed | ")
