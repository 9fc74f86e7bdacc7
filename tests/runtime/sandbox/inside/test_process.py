"""What a process has when its program begins: its user, groups, variables and working directory."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pybuild.runtime.errors import SandboxError
from pybuild.runtime.rootfs.roots import OverlayRoot
from tests.runtime.sandboxes import Image, python, python_image


def test_environment_umask_and_limits_are_fresh(image: Image, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYBUILD_SECRET", "1")
    result = image.shell("env | sort; umask; ulimit -c")
    assert "PYBUILD_SECRET" not in result.out
    assert "HOME=/root\n" in result.out
    assert result.out.endswith("\n0022\n0\n")
    signals = image.run("grep", "-E", "SigBlk|SigIgn", "/proc/self/status").out
    assert signals == "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n"


@pytest.mark.parametrize(
    ("user", "ids", "home"),
    [
        ("", "0 0 0,10", "/root"),
        ("user", "1000 1000 10,29,1000", "/home/user"),
        ("1000", "1000 1000 10,29,1000", "/home/user"),
        ("1000:1000", "1000 1000 1000", "/home/user"),
        ("user:audio", "1000 29 29", "/home/user"),
        ("4242", "4242 0 0", "/"),
        ("nobody", "65534 65534 65534", "/"),
    ],
)
def test_users_and_groups_are_looked_up_as_docker_does(image: Image, user: str, ids: str, home: str) -> None:
    script = 'echo $(id -u) $(id -g) $(grep Groups: /proc/self/status | grep -o "[0-9]*" | sort -n)'
    uid, gid, *groups = image.shell(script + "; echo $HOME", user=user).out.split()
    assert (f"{uid} {gid} {','.join(groups[:-1])}", groups[-1]) == (ids, home)


@pytest.mark.parametrize("user", ["ghost", "user:ghosts", "4294967295", "99999999999999999999"])
def test_an_unknown_user_is_an_error_before_anything_runs(image: Image, user: str) -> None:
    with pytest.raises(SandboxError, match=r"no matching entries|out of range"):
        image.shell("touch /ran", user=user)
    assert image.left() == []


def plant_sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(12 << 30)


@pytest.mark.parametrize(
    ("plant", "reason"),
    [
        (plant_sparse, "File too large"),
        (os.mkfifo, "Invalid argument"),
        (lambda path: path.symlink_to("/dev/zero"), "Invalid argument"),
        (lambda path: path.symlink_to("/proc/kmsg"), ""),
        (lambda path: os.mknod(path, 0o020666, os.makedev(1, 5)), "Permission denied"),
        (lambda path: path.symlink_to("../../../../../proc/1/environ"), ""),
        (lambda path: path.mkdir(), "Is a directory"),
    ],
    ids=["sparse", "fifo", "zero", "kmsg", "device", "environ", "folder"],
)
@pytest.mark.parametrize("name", ["passwd", "group"])
def test_a_user_database_that_is_no_small_file_is_refused(
    image: Image, plant: Callable[[Path], None], reason: str, name: str
) -> None:
    (image.layer / "etc").mkdir()
    plant(image.layer / "etc" / name)
    kind = "users" if name == "passwd" else "groups"
    with pytest.raises(SandboxError, match=f"read {kind} /etc/{name}: {reason}" if reason else "."):
        image.run("true", user="user:nobodies")


def test_a_root_without_user_database_runs_as_root_at_home_in_the_root(image: Image, tmp_path: Path) -> None:
    (tmp_path / "bare/bin").mkdir(parents=True)
    (tmp_path / "bare/bin/busybox").write_bytes((image.base / "bin/busybox").read_bytes())
    (tmp_path / "bare/bin/busybox").chmod(0o755)
    root = OverlayRoot(lowers=(tmp_path / "bare",), upper=image.upper, work=tmp_path / "work")
    result = image.run("busybox", "sh", "-c", "echo $HOME; busybox id -u", root=root)
    assert result.out == "/\n0\n"
    assert image.left() == []


@pytest.mark.parametrize("number", range(3, 15))
def test_a_working_directory_by_descriptor_leads_nowhere(image: Image, number: int) -> None:
    with pytest.raises(SandboxError, match="enter working directory"):
        image.shell("cat ../../../etc/hostname", cwd=f"/proc/self/fd/{number}")


def test_a_working_directory_is_resolved_inside_the_root(image: Image) -> None:
    (image.layer / "out").symlink_to("../../../../../../etc")
    (image.layer / "away").symlink_to("/home")
    assert image.shell("pwd -P; ls passwd", cwd="/out").out == "/etc\npasswd\n"
    assert image.shell("pwd -P", cwd="/away").out == "/home\n"


def test_raw_calls_get_the_verdicts_of_the_filter(tmp_path: Path, base: Path) -> None:
    image = python_image(tmp_path, base)
    script = Path(__file__).with_name("verdicts.py").read_text()
    result = python(image, script)
    verdicts = dict(line.split() for line in result.out.splitlines())
    assert result.err == ""
    assert {name for name, error in verdicts.items() if error == "EPERM"} == {
        *("unshare-user", "mount", "umount2", "setns", "keyctl", "add_key", "bpf", "perf_event_open", "userfaultfd"),
        *("io_uring_setup", "init_module", "open_by_handle_at", "fsopen", "move_mount", "pivot_root", "swapon"),
        *("reboot", "syslog", "acct", "clone-user", "personality", "socket-vsock", "socket-alg"),
        *("tiocsti", "tioclinux", "settimeofday", "kexec_load", "quotactl", "mount_setattr", "kcmp", "pidfd_getfd"),
        *("process_madvise", "fanotify_init", "socket-decnet"),
    }
    assert {name for name, error in verdicts.items() if error == "ENOSYS"} == {"clone3", "x32", "unknown"}
    assert verdicts["openat2"] == verdicts["memfd_create"] == verdicts["netlink"] == verdicts["chroot"] == "0"
