"""The wrappers: each raises OSError, and every descriptor is close-on-exec."""

import os
import signal
from pathlib import Path

import pytest

from pybuild.runtime.kernel import syscalls
from tests.helpers.hosts import need_root
from tests.runtime.namespaces import in_mount_namespace


def test_openat2_keeps_inside_its_root_and_closes_on_exec(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "secret").touch()
    (tmp_path / "root/link").symlink_to("/secret")
    root = os.open(tmp_path / "root", os.O_PATH)
    with pytest.raises(FileNotFoundError) as caught:
        syscalls.openat2(root, "link", os.O_RDONLY, 0, syscalls.RESOLVE_IN_ROOT)
    assert caught.value.filename == "link"
    fd = syscalls.openat2(root, b"new", os.O_CREAT | os.O_WRONLY, 0o600, syscalls.RESOLVE_BENEATH)
    assert not os.get_inheritable(fd)
    os.close(fd)
    os.close(root)
    assert (tmp_path / "root/new").stat().st_mode & 0o777 == 0o600


def test_descriptors_of_mounts_are_not_inherited(tmp_path: Path) -> None:
    need_root()
    fs = syscalls.fsopen("tmpfs")
    syscalls.fsconfig_string(fs, "size", "64k")
    syscalls.fsconfig_flag(fs, "ro")
    syscalls.fsconfig_cmd_create(fs)
    made = [
        fs,
        syscalls.fsmount(fs),
        syscalls.open_tree(syscalls.AT_FDCWD, tmp_path.as_posix(), syscalls.OPEN_TREE_CLONE),
    ]
    assert [os.get_inheritable(fd) for fd in made] == [False] * 3
    with pytest.raises(OSError, match="Read-only"):
        os.mkdir("x", dir_fd=made[1])
    for fd in made:
        os.close(fd)


def test_mounts_are_made_moved_changed_and_taken_off(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()

    def work() -> object:
        syscalls.mount("none", bytes(tmp_path / "a"), "tmpfs", syscalls.MS_NODEV, "size=64k")
        (tmp_path / "a/file").touch()
        tree = syscalls.open_tree(syscalls.AT_FDCWD, bytes(tmp_path / "a"), syscalls.OPEN_TREE_CLONE)
        syscalls.mount_setattr(tree, syscalls.MOUNT_ATTR_RDONLY)
        syscalls.move_mount(tree, syscalls.AT_FDCWD, bytes(tmp_path / "b"))
        syscalls.umount2(bytes(tmp_path / "a"))
        with pytest.raises(OSError, match="Read-only"):
            (tmp_path / "b/new").touch()
        return os.listdir(tmp_path / "a"), os.listdir(tmp_path / "b")

    assert in_mount_namespace(work) == "([], ['file'])"


def test_capabilities_are_read_and_given_up() -> None:
    def work() -> object:
        before = syscalls.capget()
        syscalls.capset(1 << 5, 1 << 5 | 1 << 32, 0)
        with pytest.raises(PermissionError):
            syscalls.capset(1 << 6, 1 << 6, 0)
        return before[0] & 1, [hex(each) for each in syscalls.capget()]

    assert in_mount_namespace(work) == "(1, ['0x20', '0x100000020', '0x0'])"


def test_a_filter_is_installed_for_good() -> None:
    def work() -> object:
        # Load the number; getppid (x86_64: 110, aarch64: 173) fails with errno 42, all else is allowed.
        number = {"x86_64": 110, "aarch64": 173}[os.uname().machine]
        steps = ((0x20, 0, 0, 0), (0x15, 0, 1, number), (0x06, 0, 0, 0x0005002A), (0x06, 0, 0, 0x7FFF0000))
        program = b"".join(c.to_bytes(2, "little") + bytes((t, f)) + k.to_bytes(4, "little") for c, t, f, k in steps)
        syscalls.set_seccomp_filter(program)
        return os.getppid()

    assert in_mount_namespace(work) == "-42"


def test_held_back_signals_are_waited_for_and_reset_ones_are_default() -> None:
    def work() -> object:
        syscalls.block_signals()
        os.kill(os.getpid(), signal.SIGUSR1)
        first = syscalls.wait_signal()
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        syscalls.reset_signals()
        status = Path("/proc/self/status").read_text().splitlines()
        masks = {
            line.split(":\t")[0]: line.split(":\t")[1] for line in status if line.startswith("Sig") and "\t" in line
        }
        return first == signal.SIGUSR1, int(masks["SigBlk"], 16), int(masks["SigIgn"], 16)

    assert in_mount_namespace(work) == "(True, 0, 0)"


def test_names_limits_keyrings_and_loopback_are_set_in_new_namespaces() -> None:
    def work() -> object:
        syscalls.unshare(syscalls.CLONE_NEWUTS | syscalls.CLONE_NEWNET)
        syscalls.sethostname(b"box")
        syscalls.bring_up_loopback()
        syscalls.keyctl_join_session_keyring()
        syscalls.setrlimit(7, 900, 950)
        limits = [
            line.split()[-3:-1] for line in Path("/proc/self/limits").read_text().splitlines() if "open files" in line
        ]
        flags = [line.split()[0] for line in Path("/proc/net/dev").read_text().splitlines()[2:]]
        return os.uname().nodename, limits, flags

    assert in_mount_namespace(work) == "('box', [['900', '950']], ['lo:'])"


def test_a_namespace_can_be_left_and_entered_again() -> None:
    def work() -> object:
        before = os.readlink("/proc/self/ns/uts")
        home = os.open("/proc/self/ns/uts", os.O_RDONLY)
        syscalls.unshare(syscalls.CLONE_NEWUTS)
        inside = os.readlink("/proc/self/ns/uts")
        syscalls.setns(home, syscalls.CLONE_NEWUTS)
        return before != inside, before == os.readlink("/proc/self/ns/uts")

    assert in_mount_namespace(work) == "(True, True)"


def test_closing_a_range_leaves_what_is_below_it() -> None:
    child = os.fork()
    if child == 0:
        low, high = os.dup(0), os.dup2(0, 900)
        syscalls.close_range(900)
        kept = os.path.samestat(os.fstat(low), os.fstat(0))
        os._exit(0 if kept and not os.path.exists(f"/proc/self/fd/{high}") else 1)
    assert os.waitpid(child, 0)[1] == 0
