"""What a process inside can and cannot see and do, one attack per test; nothing of the host may have changed after."""

import errno
import hashlib
import os
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

import pytest

from pybuild.runtime.errors import SandboxError
from pybuild.runtime.rootfs.roots import DirectoryRoot, OverlayRoot
from pybuild.runtime.sandbox import forkserver_client, interpreter
from pybuild.runtime.sandbox.interpreter import program
from pybuild.runtime.sandbox.spec import Bind, BindRoot, FileMount, Network, ResourceLimits, Tmpfs
from tests.helpers.hosts import need_kernel
from tests.runtime.sandboxes import Image, base, image, python, python_image

__all__ = ["base", "image"]


def at(path: str) -> PurePosixPath:
    return PurePosixPath(path)


# --- what is there -------------------------------------------------------------------------------------------------


def test_only_the_mounts_of_the_sandbox_are_visible(image: Image) -> None:
    lines = image.shell("cat /proc/self/mountinfo").out.splitlines()
    kinds = {line.split()[4]: line.partition(" - ")[2].split()[0] for line in lines}
    assert kinds.pop("/") == "overlay"
    assert {kinds["/proc"], kinds["/sys"], kinds["/dev"], kinds["/dev/pts"]} == {"proc", "sysfs", "tmpfs", "devpts"}
    assert all(path.startswith(("/proc", "/sys", "/dev", "/etc/hosts", "/etc/resolv.conf")) for path in kinds)


def test_the_root_has_nothing_above_it_and_names_no_host_path(image: Image, tmp_path: Path) -> None:
    result = image.shell("stat -c %i / /.. /../..; cat /proc/self/mountinfo")
    assert len(set(result.out.split("\n")[:3])) == 1
    assert str(tmp_path) not in result.out


def test_a_process_has_three_descriptors_and_its_standard_input_is_empty(image: Image) -> None:
    result = image.shell("ls /proc/self/fd; cat; stat -L -c %t:%T /proc/self/fd/0")
    assert result.out.split() == ["0", "1", "2", "3", "1:3"]  # 3 is the directory that ls lists
    # The node of this sandbox: a change of that of the host would be one of the host.
    own, there = image.shell("stat -L -c %d:%i /proc/self/fd/0; stat -c %d:%i /dev/null").out.split()
    assert own == there


def test_devices_links_and_special_file_systems_are_as_docker_has_them(image: Image) -> None:
    result = image.shell("ls /dev; echo x > /dev/null; echo x > /dev/full; stat -c %a /dev/shm; ls /proc/self/fdinfo")
    names = "fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero".split()
    names[:0] = ["core"] if os.path.exists("/proc/kcore") else []
    assert result.out.split()[: len(names)] == names
    assert "1777" in result.out
    assert "No space left" in result.err


def test_the_process_is_number_one_and_all_that_there_is(image: Image) -> None:
    assert image.shell("echo $$ $PPID /proc/[0-9]*").out == "1 0 /proc/1\n"


def test_each_namespace_is_its_own(image: Image) -> None:
    kinds = ("mnt", "pid", "ipc", "uts", "cgroup", "net")
    script = "; ".join(f"busybox readlink /proc/self/ns/{kind}" for kind in kinds)
    inside = image.shell(script, network=Network.NONE).out.split()
    outside = [os.readlink(f"/proc/self/ns/{kind}") for kind in kinds]
    assert [kind for kind, own, host in zip(kinds, inside, outside, strict=True) if own == host] == []


def test_the_host_name_and_hosts_file_are_those_of_the_spec(image: Image) -> None:
    result = image.shell("cat /proc/sys/kernel/hostname /etc/hosts", hostname="box", hosts=(("db", "10.0.0.9"),))
    assert result.out.startswith("box\n127.0.0.1\tlocalhost box\n")
    assert "10.0.0.9\tdb\n" in result.out
    assert image.shell("cat /etc/resolv.conf").out == Path("/etc/resolv.conf").read_text()


def test_a_private_network_has_a_loopback_that_is_up_and_nothing_else(image: Image) -> None:
    result = image.shell("ip -o link", network=Network.NONE)
    assert result.out.count("\n") == 1
    assert "lo: <LOOPBACK,UP" in result.out
    host = len(os.listdir("/sys/class/net"))
    assert image.shell("ip -o link").out.count("\n") == host


def test_environment_umask_and_limits_are_fresh(image: Image, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYBUILD_SECRET", "1")
    result = image.shell("env | sort; umask; ulimit -c")
    assert "PYBUILD_SECRET" not in result.out
    assert "HOME=/root\n" in result.out
    assert result.out.endswith("\n0022\n0\n")
    signals = image.run("grep", "-E", "SigBlk|SigIgn", "/proc/self/status").out
    assert signals == "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n"


# --- users and capabilities ----------------------------------------------------------------------------------------


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


@pytest.mark.parametrize(("user", "effective"), [("", "00000000a80425fb"), ("user", "0" * 16)])
def test_capabilities_are_dockers_and_none_is_inheritable(image: Image, user: str, effective: str) -> None:
    status = dict(line.split(":\t") for line in image.shell("cat /proc/self/status", user=user).out.splitlines())
    assert (status["CapEff"], status["CapPrm"], status["CapBnd"]) == (effective, effective, "00000000a80425fb")
    assert (status["CapInh"], status["CapAmb"]) == ("0" * 16, "0" * 16)
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("0", "2")


def test_privilege_gain_can_be_switched_off(image: Image) -> None:
    assert "NoNewPrivs:\t1" in image.shell("cat /proc/self/status", no_new_privileges=True).out


def test_abstract_sockets_of_the_host_are_out_of_reach_on_its_network(tmp_path: Path, base: Path) -> None:
    need_kernel(6, 12)
    name = f"\0{tmp_path}"
    script = (
        "import socket, sys\n"
        "own = socket.socket(socket.AF_UNIX); own.bind('\\0own'); own.listen()\n"
        "socket.socket(socket.AF_UNIX).connect('\\0own')\n"
        f"print(socket.socket(socket.AF_UNIX).connect_ex({name!r}))\n"
    )
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(name)
        listening.listen()
        image = python_image(tmp_path, base)
        confined = python(image, script, network=Network.HOST)
        insecure = python(image, script, network=Network.HOST, insecure=True)
    assert (confined.out, insecure.out) == (f"{errno.EPERM}\n", "0\n")


def test_insecure_means_all_capabilities_and_no_filter(image: Image) -> None:
    result = image.shell(
        "cat /proc/self/status; echo; mkdir /m && busybox mount -t tmpfs x /m && echo ok", insecure=True
    )
    own = Path("/proc/self/status").read_text()
    held = next(line for line in own.splitlines() if line.startswith("CapPrm"))
    assert held in result.out
    assert "Seccomp:\t0" in result.out
    assert result.out.endswith("ok\n")


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


# --- ways out ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", range(3, 15))
def test_a_working_directory_by_descriptor_leads_nowhere(image: Image, number: int) -> None:
    with pytest.raises(SandboxError, match="enter working directory"):
        image.shell("cat ../../../etc/hostname", cwd=f"/proc/self/fd/{number}")


def test_a_working_directory_is_resolved_inside_the_root(image: Image) -> None:
    (image.layer / "out").symlink_to("../../../../../../etc")
    (image.layer / "away").symlink_to("/home")
    assert image.shell("pwd -P; ls passwd", cwd="/out").out == "/etc\npasswd\n"
    assert image.shell("pwd -P", cwd="/away").out == "/home\n"


@pytest.fixture
def own_interpreter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An interpreter for the sandboxes of this test alone, so that an attack that succeeds harms no other program."""
    path = tmp_path / "python/bin" / Path(program()).name
    path.parent.mkdir(parents=True)
    shutil.copy(program(), path)
    (tmp_path / "python/lib").symlink_to(f"{sys.base_prefix}/lib")
    monkeypatch.setattr(interpreter, "program", lambda: os.fspath(path))
    monkeypatch.setattr(forkserver_client, "_SERVERS", {})
    interpreter._open_interpreter.cache_clear()
    yield path
    for server in forkserver_client._SERVERS.values():
        server._channel.close()
    os.close(interpreter.interpreter())
    interpreter._open_interpreter.cache_clear()


def state(path: Path) -> tuple[str, int, int, int]:
    found = path.stat()
    return hashlib.sha256(path.read_bytes()).hexdigest(), found.st_mode, found.st_uid, found.st_ctime_ns


ATTACK_ON_INTERPRETER = """#!/proc/self/exe
import os
for act in (
    lambda: os.chmod("/proc/self/exe", 0o4777),
    lambda: os.chown("/proc/self/exe", 1, 1),
    lambda: os.open("/proc/self/exe", os.O_WRONLY),
    lambda: os.setxattr("/proc/self/exe", "user.x", b"x"),
    lambda: os.truncate("/proc/self/exe", 0),
):
    try:
        act()
    except OSError as error:
        print(error.errno)
    else:
        print("CHANGED")
"""


def test_a_script_that_gets_hold_of_our_interpreter_cannot_change_it(
    tmp_path: Path, base: Path, own_interpreter: Path
) -> None:
    image = python_image(tmp_path, base)
    (image.layer / "x").write_text(ATTACK_ON_INTERPRETER)
    (image.layer / "x").chmod(0o755)
    before = state(own_interpreter)
    result = image.run("/x", env=(*image.env, ("PYTHONHOME", sys.base_prefix)))
    # Read-only wherever the mount is asked; a busy program is refused even earlier.
    assert set(result.out.split()) <= {str(errno.EROFS), str(errno.ETXTBSY)}
    assert result.out.split()[:2] == [str(errno.EROFS)] * 2
    assert state(own_interpreter) == before


SECOND_STEP_ON_INTERPRETER = """#!/proc/self/exe
import os
held = os.open("/proc/self/exe", os.O_RDONLY)
os.set_inheritable(held, True)
# The program that has it open now is another one: the kernel does not call the file busy for its sake any more.
attack = f"for word in '>' '>>' '<>'; do eval \\"echo x $word /proc/self/fd/{held}\\" && echo WRITTEN; done"
attack += f"; chmod 4777 /proc/self/fd/{held} && echo CHANGED; head -c 4 /proc/self/fd/{held} | tail -c 3"
os.execve("/bin/busybox", ["sh", "-c", attack.replace("head", "busybox head").replace("tail", "busybox tail")], os.environ)
"""


def test_an_open_interpreter_cannot_be_changed_by_a_second_program(
    tmp_path: Path, base: Path, own_interpreter: Path
) -> None:
    image = python_image(tmp_path, base)
    (image.layer / "x").write_text(SECOND_STEP_ON_INTERPRETER)
    (image.layer / "x").chmod(0o755)
    before = state(own_interpreter)
    result = image.run("/x", env=(*image.env, ("PYTHONHOME", sys.base_prefix)))
    # It had the file open, and could do nothing but read it.
    assert result.out == "ELF"
    assert len(result.err.splitlines()) == 4
    assert state(own_interpreter) == before


@pytest.mark.parametrize("user", ["", "user"])
def test_init_shows_neither_its_program_nor_its_files_nor_its_root(image: Image, user: str) -> None:
    script = (
        "cd /proc/1; cat environ mem maps; for f in exe cwd root fd/0 fd/1 fd/3; do busybox readlink $f && cat $f; done"
    )
    assert image.shell(script, init=True, user=user).out == ""


def test_all_that_a_root_sees_can_be_walked_through(image: Image) -> None:
    result = image.shell("find / -name '*.pyc' -exec rm {} +; cat /proc/1/environ /proc/1/maps > /dev/null")
    assert (result.err, result.status.code) == ("", 0)


def test_modules_of_the_image_at_our_own_import_paths_never_run(image: Image, tmp_path: Path) -> None:
    poison = "import os\nos.open('/poisoned', os.O_CREAT)\nos.write(2, b'poisoned')\n"
    library = Path(os.__file__).parent.relative_to("/")
    ours = Path(__file__).parents[4].relative_to("/")
    for directory in (library, library / "encodings", library / "lib-dynload", ours, ours / "runtime"):
        (image.layer / directory).mkdir(parents=True, exist_ok=True)
        for name in ("traceback", "colorsys", "idna", "enum", "linecache", "warnings", "sitecustomize", "pwd"):
            (image.layer / directory / f"{name}.py").write_text(poison)
    for fault in ({"user": "ghost"}, {"cwd": "/proc/nowhere"}, {"mounts": (Tmpfs(target=at("/proc/x")),)}):
        with pytest.raises(SandboxError):
            image.run("true", **fault)
    assert "poisoned" not in image.run("missing").err
    assert image.left() == []


@pytest.mark.parametrize("name", ["dev", "proc", "sys"])
@pytest.mark.parametrize("link", ["{victim}", "../../../../../..{victim}", "/etc"])
def test_a_system_directory_that_is_a_link_is_refused(image: Image, tmp_path: Path, name: str, link: str) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "ptmx").write_text("keep")
    (image.layer / name).symlink_to(link.format(victim=victim))
    with pytest.raises(SandboxError, match=f"find mount point /{name}"):
        image.run("true")
    assert [(path.name, path.read_text()) for path in victim.iterdir()] == [("ptmx", "keep")]
    assert image.left() == []


def test_links_of_an_image_in_dev_have_no_effect(image: Image) -> None:
    before = Path("/proc/sys/kernel/core_pattern").read_text()
    (image.layer / "dev").mkdir()
    for name in ("null", "pts", "console", "ptmx", "shm"):
        (image.layer / "dev" / name).symlink_to("/proc/sys/kernel/core_pattern")
    result = image.shell("echo x > /dev/null; stat -c %F /dev/null; cat /proc/keys /proc/timer_list /proc/interrupts")
    assert result.out == "character special file\n"
    assert Path("/proc/sys/kernel/core_pattern").read_text() == before


@pytest.mark.parametrize(
    "path",
    ["/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/proc/sys/vm/drop_caches", "/sys/kernel/uevent_helper"],
)
def test_knobs_of_the_kernel_cannot_be_written(image: Image, path: str) -> None:
    # What is there is written back, so that the machine stays as it is should it work.
    result = image.shell(f'old=$(cat {path} 2> /dev/null || echo h); echo "$old" > {path}')
    assert (result.status.code, "Read-only" in result.err or "can't create" in result.err) == (1, True)


@pytest.mark.parametrize("path", ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/interrupts", "/sys/firmware"])
def test_what_tells_about_the_machine_is_empty(image: Image, path: str) -> None:
    assert image.shell(f"cat {path}; ls {path}/").out == ""


def test_no_release_agent_and_no_writable_cgroup(image: Image) -> None:
    result = image.shell("find / -name release_agent; mkdir /sys/fs/cgroup/x && echo made")
    assert result.out == ""


def test_device_nodes_can_be_made_but_not_opened(image: Image) -> None:
    os.mknod(image.layer / "memory", 0o020666, os.makedev(1, 3))
    result = image.shell("mknod /d c 1 3 && mknod /dev/d c 1 3 && echo made; cat /d; cat /dev/d; cat /memory")
    assert result.out == "made\n"
    assert result.err.count("Permission denied") == 3


def test_changing_a_device_node_changes_nothing_of_the_host(image: Image) -> None:
    before = os.stat("/dev/null")
    assert (
        image.shell("chmod 600 /dev/null; chown 1 /dev/null; touch /dev/null; chmod 0 /proc/self/fd/0").status.code == 0
    )
    after = os.stat("/dev/null")
    assert (after.st_mode, after.st_uid, after.st_ctime_ns) == (before.st_mode, before.st_uid, before.st_ctime_ns)


# --- mounts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "target", ["/proc", "/proc/../proc/", "/proc/self/fd/7", "/sys", "/sys/fs", "/dev", "/dev/../dev/", "/"]
)
def test_nothing_is_mounted_over_system_directories_or_the_root(image: Image, target: str) -> None:
    with pytest.raises(SandboxError, match=r"not allowed|cannot be a mount target"):
        image.run("true", mounts=(Tmpfs(target=at(target)),))
    assert image.left() == []


OWN_IN_DEV = ("null", "fd", "fd/7", "stdout", "ptmx", "pts", "pts/x", "mqueue", "mqueue/x", "tty", "urandom/x")


@pytest.mark.parametrize("name", OWN_IN_DEV)
@pytest.mark.parametrize("directory", ["/dev", "/link"])
def test_nothing_is_mounted_over_what_the_sandbox_has_in_dev(image: Image, directory: str, name: str) -> None:
    (image.layer / "link").symlink_to("/dev")
    with pytest.raises(SandboxError):
        image.run("true", mounts=(Tmpfs(target=at(f"{directory}/{name}")),))
    with pytest.raises(SandboxError):
        image.run("true", mounts=(FileMount(target=at(f"{directory}/{name}"), content=b"x"),))
    assert image.left() == []


def test_new_names_in_dev_are_mount_targets_and_leave_nothing(image: Image) -> None:
    (image.layer / "link").symlink_to("/dev")
    mounts = (
        Tmpfs(target=at("/dev/foo"), mode=0o750),
        Tmpfs(target=at("/dev/a/b")),
        Tmpfs(target=at("/dev/shm"), mode=0o700),
        Tmpfs(target=at("/link/c")),
        FileMount(target=at("/dev/key"), content=b"secret"),
    )
    result = image.shell(
        "stat -c %a /dev/foo /dev/shm; echo > /dev/a/b/x; echo > /dev/c/x; cat /dev/key", mounts=mounts
    )
    assert (result.out, result.err) == ("750\n700\nsecret", "")
    assert image.left() == []


def test_a_link_of_the_image_to_a_system_directory_is_no_mount_target_either(image: Image) -> None:
    (image.layer / "x").symlink_to("/proc")
    (image.layer / "y").symlink_to("/sys/fs")
    for target in ("/x", "/x/self", "/y"):
        with pytest.raises(SandboxError):
            image.run("true", mounts=(Tmpfs(target=at(target)),))


def test_a_target_below_a_link_lands_inside_the_root(image: Image, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (image.layer / "out").symlink_to(outside)
    image.shell("echo x > /out/here/file", mounts=(Tmpfs(target=at("/out/here")),))
    assert list(outside.iterdir()) == []
    assert image.left() == []


def test_the_source_in_another_root_is_resolved_in_that_root(image: Image, tmp_path: Path) -> None:
    other = tmp_path / "other"
    (other / "data").mkdir(parents=True)
    (other / "data/file").write_text("of the stage")
    (other / "link").symlink_to("/")
    (other / "up").symlink_to("../../../../..")
    for source in ("/link", "/up", "../../..", "/link/up/link"):
        root = BindRoot(root=DirectoryRoot(path=other), source=at(source), target=at("/m"))
        assert image.shell("ls /m; cat /m/data/file", mounts=(root,)).out == "data\nlink\nup\nof the stage"
    missing = BindRoot(root=DirectoryRoot(path=other), source=at("/proc/self/fd"), target=at("/m"))
    with pytest.raises(SandboxError, match="bind from another root /proc/self/fd: No such file"):
        image.run("true", mounts=(missing,))


def test_another_root_is_read_only_unless_asked_for_and_then_written_to_its_upper(image: Image, tmp_path: Path) -> None:
    for name in ("low", "up", "wk"):
        (tmp_path / name).mkdir()
    (tmp_path / "low/file").write_text("low")
    view = OverlayRoot(lowers=(tmp_path / "low",))
    writable = OverlayRoot(lowers=(tmp_path / "low",), upper=tmp_path / "up", work=tmp_path / "wk")
    mounts = (
        BindRoot(root=view, source=at("/"), target=at("/a")),
        BindRoot(root=writable, source=at("/"), target=at("/b"), read_only=False),
        BindRoot(root=view, source=at("/file"), target=at("/c")),
    )
    result = image.shell("echo x > /a/file; echo x > /c; echo new > /b/file; cat /a/file /b/file /c", mounts=mounts)
    assert result.out == "lownew\nlow"
    assert result.err.count("Read-only file system") == 2
    assert (tmp_path / "up/file").read_text() == "new\n"
    assert (tmp_path / "low/file").read_text() == "low"
    assert image.left() == []


def test_a_bind_of_the_host_is_written_through_and_makes_no_device_usable(image: Image, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    os.mknod(cache / "null", 0o020666, os.makedev(1, 3))
    mounts = (Bind(host_path=cache, target=at("/cache"), read_only=False), Bind(host_path=cache, target=at("/ro")))
    result = image.shell("echo x > /cache/file; echo x > /ro/other; cat /cache/null", mounts=mounts)
    assert (cache / "file").read_text() == "x\n"
    assert "Read-only" in result.err
    assert "Permission denied" in result.err
    assert image.left() == []


def test_mounts_below_mounts_come_after_them_whatever_their_order(image: Image, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/file").write_text("inner")
    mounts = (
        FileMount(target=at("/x/y/secret"), content=b"s"),
        Bind(host_path=tmp_path / "data", target=at("/x/y")),
        Tmpfs(target=at("/x")),
    )
    with pytest.raises(SandboxError, match="Read-only"):  # the stub of the secret would have to be made in /x/y
        image.run("true", mounts=mounts)
    writable = (Bind(host_path=tmp_path / "data", target=at("/x/y")), Tmpfs(target=at("/x")))
    assert image.shell("cat /x/y/file; ls -a /x", mounts=writable).out.split() == ["inner.", "..", "y"]
    assert image.left() == []


def test_files_are_read_only_owned_as_asked_and_run_only_when_they_are_scripts(image: Image) -> None:
    mounts = (
        FileMount(target=at("/run/secrets/key"), content=b"s3cret", mode=0o400, uid=1000, gid=29),
        FileMount(target=at("/dev/pipes/script"), content=b"#!/bin/sh\necho ran", mode=0o755),
    )
    result = image.shell(
        "stat -c '%a %u %g' /run/secrets/key; cat /run/secrets/key; /dev/pipes/script; rm /run/secrets/key",
        mounts=mounts,
    )
    assert result.out == "400 1000 29\ns3cretran\n"
    assert "busy" in result.err
    assert image.left() == []


def test_a_tmpfs_has_the_size_and_mode_asked_for(image: Image) -> None:
    mounts = (Tmpfs(target=at("/t"), size=1 << 16, mode=0o750), Tmpfs(target=at("/dev/shm/in")))
    script = "stat -c %a /t; echo '#!/bin/sh' > /t/x; chmod 755 /t/x; /t/x && echo ran; cat /dev/zero > /t/big"
    result = image.shell(script, mounts=mounts, limits=ResourceLimits(shm_size=1 << 20))
    assert result.out == "750\nran\n"
    assert "No space left" in result.err
    assert "size=1024k" in image.shell("grep /dev/shm /proc/mounts", limits=ResourceLimits(shm_size=1 << 20)).out


def test_a_tmpfs_takes_over_the_mode_of_what_it_hides(image: Image) -> None:
    mounts = (
        Tmpfs(target=at("/etc")),
        Tmpfs(target=at("/closed"), read_only=True),
        Tmpfs(target=at("/new/one")),
        Tmpfs(target=at("/new/two"), mode=0o700, uid=7, gid=8),
    )
    (image.layer / "closed").mkdir(mode=0o711)
    expected = image.shell("stat -c '%a %u %g' /etc").out
    result = image.shell("stat -c '%a %u %g' /etc /closed /new/one /new/two; touch /closed/x", mounts=mounts)
    assert result.out == expected + "711 0 0\n1777 0 0\n700 7 8\n"
    assert "Read-only" in result.err
    assert expected == "755 0 0\n"
    assert image.left() == []


def test_programs_on_a_tmpfs_run_where_that_is_permitted(image: Image) -> None:
    script = "for each in /a /b; do echo '#!/bin/sh' > $each/x; chmod 755 $each/x; $each/x && echo $each; done"
    mounts = (Tmpfs(target=at("/a")), Tmpfs(target=at("/b"), executable=False))
    result = image.shell(script, mounts=mounts)
    assert (result.out, "Permission denied" in result.err) == ("/a\n", True)


# --- traces --------------------------------------------------------------------------------------------------------


def test_a_run_that_changes_nothing_leaves_an_empty_layer(image: Image) -> None:
    mounts = (Tmpfs(target=at("/deep/er/t")), FileMount(target=at("/run/secrets/s"), content=b"x"))
    assert image.shell("cat /etc/hosts /run/secrets/s > /dev/null", mounts=mounts).status.code == 0
    assert image.left() == []


def test_mount_points_hidden_by_an_opaque_directory_or_behind_a_link_are_taken_away_again(image: Image) -> None:
    (image.layer / "etc").mkdir()
    os.setxattr(image.layer / "etc", "trusted.overlay.opaque", b"y")
    (image.layer / "etc/resolv.conf").symlink_to("../run/systemd/resolve/stub.conf")
    (image.layer / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\n")
    result = image.shell("cat /run/systemd/resolve/stub.conf; ls /etc")
    assert result.out == Path("/etc/resolv.conf").read_text() + "hosts\npasswd\nresolv.conf\n"
    assert image.left() == []


def test_a_link_into_the_missing_parent_of_another_mount_point_leaves_nothing(image: Image) -> None:
    (image.layer / "etc").mkdir()
    (image.layer / "etc/resolv.conf").symlink_to("../run/systemd/resolve/stub.conf")
    os.utime(image.upper, ns=(10**18, 10**18))
    secret = (FileMount(target=at("/run/secrets/key"), content=b"k"),)
    result = image.shell("cat /run/systemd/resolve/stub.conf /run/secrets/key", mounts=secret)
    assert result.out == Path("/etc/resolv.conf").read_text() + "k"
    assert image.left() == []
    assert not (image.upper / "run").exists()
    assert image.upper.stat().st_mtime_ns == 10**18


def test_a_directory_that_began_as_the_parent_of_a_mount_point_stays_when_it_is_used(image: Image) -> None:
    secret = (FileMount(target=at("/run/secrets/key"), content=b"k"),)
    image.shell("echo x > /run/own", mounts=secret)
    assert image.left() == ["run", "run/own"]


def test_a_plain_directory_as_root_is_the_same_afterwards(image: Image, tmp_path: Path, base: Path) -> None:
    root = tmp_path / "plain"
    root.mkdir()
    for name in ("bin", "etc"):
        (root / name).mkdir()
    os.link(base / "bin/busybox", root / "bin/busybox")
    for directory in (root, root / "etc"):
        os.utime(directory, ns=(10**18, 10**18))
    result = image.run(
        "busybox", "touch", "/bin/made", root=DirectoryRoot(path=root), mounts=(Tmpfs(target=at("/a/b")),)
    )
    assert result.status.code == 0
    assert sorted(str(path.relative_to(root)) for path in root.rglob("*")) == ["bin", "bin/busybox", "bin/made", "etc"]
    assert (root.stat().st_mtime_ns, (root / "etc").stat().st_mtime_ns) == (10**18, 10**18)
    (root / "bin/made").unlink()


def test_a_directory_that_the_process_used_is_kept_although_it_began_as_a_mount_point(
    image: Image, tmp_path: Path
) -> None:
    root = tmp_path / "plain"
    (root / "bin").mkdir(parents=True)
    os.link(image.base / "bin/busybox", root / "bin/busybox")
    script = "busybox touch /a/kept"
    image.run("busybox", "sh", "-c", script, root=DirectoryRoot(path=root), mounts=(Tmpfs(target=at("/a/b")),))
    assert sorted(path.name for path in (root / "a").iterdir()) == ["kept"]
    assert sorted(path.name for path in root.iterdir()) == ["a", "bin"]


def test_a_read_only_root_stays_untouched(image: Image, base: Path) -> None:
    view = OverlayRoot(lowers=(image.layer, base))
    result = image.shell("touch /x; cat /etc/hosts > /dev/null && echo ok", root=view)
    assert (result.out, "Read-only file system" in result.err) == ("ok\n", True)


def test_what_a_process_writes_is_in_its_layer_with_its_own_owner(image: Image) -> None:
    image.shell("echo x > /etc/new; chown 5:6 /etc/new; rm /etc/group; mkdir -p /proc2/a")
    assert image.left() == ["etc", "etc/group", "etc/new", "proc2", "proc2/a"]
    assert ((image.upper / "etc/new").stat().st_uid, (image.upper / "etc/group").stat().st_rdev) == (5, 0)


def test_one_upper_may_be_used_several_times(image: Image) -> None:
    image.shell("echo 1 > /one")
    assert image.shell("cat /one").out == "1\n"


def test_files_keep_device_and_inode_numbers_when_they_are_copied_up(image: Image) -> None:
    result = image.shell(
        "stat -c '%d %i' /etc/passwd; chmod 600 /etc/passwd; stat -c '%d %i' /etc/passwd; stat -c %d /"
    )
    first, second, root = result.out.splitlines()
    assert (first, first.split()[0]) == (second, root)


def test_five_hundred_layers_are_mounted_and_one_more_is_an_error(image: Image, tmp_path: Path) -> None:
    layers = [tmp_path / "many" / str(number) for number in range(499)]
    for number, layer in enumerate(layers):
        layer.mkdir(parents=True)
        (layer / "top").write_text(str(number)) if number > 495 else None
    root = OverlayRoot(lowers=(image.base, *layers), upper=image.upper, work=tmp_path / "work")
    assert image.shell("cat /top", root=root).out == "498"
    assert image.left() == []  # no layer was left for the mount points: they were made and removed
    with pytest.raises(SandboxError, match="mount overlay"):
        image.run(
            "true", root=OverlayRoot(lowers=(image.layer, *root.lowers), upper=image.upper, work=tmp_path / "work")
        )


def test_redirects_planted_in_a_layer_are_not_followed(image: Image) -> None:
    (image.base / "home/secret").write_text("hidden") if not (image.base / "home/secret").exists() else None
    (image.layer / "shown").mkdir()
    os.setxattr(image.layer / "shown", "trusted.overlay.redirect", b"/home")
    assert "hidden" not in image.shell("cat /shown/secret").out


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
