"""What a process inside can and cannot see and do, one attack per test; nothing of the host may have changed after."""

import errno
import hashlib
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pybuild.runtime.errors import SandboxError
from pybuild.runtime.sandbox import forkserver_client, interpreter
from pybuild.runtime.sandbox.interpreter import program
from pybuild.runtime.sandbox.spec import Network, Tmpfs
from tests.runtime.sandboxes import Image, at, python_image


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
