"""The parent half: results, output, cancelling, many at once, and what a killed builder leaves behind."""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

import pytest

from pybuild.runtime.errors import SandboxError
from pybuild.runtime.kernel.capabilities import DEFAULT, mask
from pybuild.runtime.rootfs.roots import DirectoryRoot
from pybuild.runtime.sandbox import launcher
from pybuild.runtime.sandbox.spec import Bind, ExitStatus, Process, ResourceLimits, Spec, Tmpfs
from tests.runtime.sandboxes import Image, python, python_image


def leaked_mounts(image: Image) -> list[str]:
    """Mounts of the host that only a sandbox could have made: on top of the root, of our layers, by our names."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    on_root = [line for line in lines if line.split()[4] == "/"]
    return on_root[1:] + [line for line in lines if str(image.directory) in line or "=/proc/self/fd/" in line]


@pytest.mark.parametrize(
    ("script", "status"),
    [
        ("exit 0", ExitStatus(code=0)),
        ("exit 7", ExitStatus(code=7)),
        ("sh -c 'kill -9 $$'; exit $?", ExitStatus(code=137)),
        ("exit 255", ExitStatus(code=255)),
    ],
)
def test_the_status_of_the_process_is_returned_as_it_is(image: Image, script: str, status: ExitStatus) -> None:
    assert image.shell(script).status == status


def test_a_process_that_the_kernel_kills_ended_by_a_signal(tmp_path: Path, base: Path) -> None:
    result = python(python_image(tmp_path, base), "import ctypes; ctypes.string_at(0)")
    assert (result.status, result.status.shell_code) == (ExitStatus(signal=11), 139)


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (("missing",), 127, 'exec: "missing": executable file not found in $PATH\n'),
        (("/bin/missing",), 127, 'exec: "/bin/missing": no such file or directory\n'),
        ((), 127, 'exec: "": executable file not found in $PATH\n'),
        (("",), 127, 'exec: "": executable file not found in $PATH\n'),
        (("/etc/passwd",), 126, 'exec: "/etc/passwd": permission denied\n'),
        (("/etc",), 126, 'exec: "/etc": permission denied\n'),
        (("/bin/text",), 126, 'exec: "/bin/text": exec format error\n'),
        (("text",), 126, 'exec: "text": exec format error\n'),
        (("/bin/orphan",), 127, 'exec: "/bin/orphan": no such file or directory\n'),
    ],
)
def test_a_program_that_cannot_run_is_a_status_and_not_an_error(
    image: Image, args: tuple[str, ...], code: int, message: str
) -> None:
    (image.layer / "bin").mkdir()
    for name, text in (("text", "echo no shebang"), ("orphan", "#!/no/such/interpreter\n")):
        (image.layer / "bin" / name).write_text(text)
        (image.layer / "bin" / name).chmod(0o755)
    result = image.run(*args)
    assert (result.status, result.err) == (ExitStatus(code=code), message)


def test_a_program_is_looked_up_in_the_path_of_its_own_environment(image: Image) -> None:
    (image.layer / "opt").mkdir()
    (image.layer / "opt/tool").symlink_to("/bin/busybox")
    (image.layer / "opt/id").write_text("#!/bin/sh\necho mine")
    (image.layer / "opt/id").chmod(0o755)
    assert image.run("id", env=(("PATH", "/nowhere:/etc/passwd:/opt:/bin"),)).out == "mine\n"
    assert image.run("id", env=()).out.startswith("uid=0")
    assert image.run("true", env=(("PATH", "/opt"),)).status.code == 127
    assert image.run("./id", env=(), cwd="/opt").out == "mine\n"


def test_a_working_directory_that_is_missing_is_made_for_the_user(image: Image) -> None:
    (image.layer / "link").symlink_to("made/by/link")
    result = image.run("sh", "-c", "pwd; stat -c %a:%u:%g . /made /made/by", cwd="/link/in", user="7:8")
    assert result.out == "/made/by/link/in\n755:7:8\n755:7:8\n755:7:8\n"


def test_the_first_argument_is_what_the_program_sees_as_its_name(image: Image) -> None:
    assert (
        image.run("sh", "-c", "cat /proc/$$/cmdline | busybox tr '\\0' ,").out
        == "sh,-c,cat /proc/$$/cmdline | busybox tr '\\0' ,,"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cwd": "/proc/nowhere"}, "enter working directory /proc/nowhere: No such file or directory"),
        ({"cwd": "/etc/passwd"}, "enter working directory /etc/passwd: Not a directory"),
        ({"env": (("A\0B", "x"),)}, "execute true: embedded null byte"),
        ({"env": (("A=B", "x"),)}, "execute true: illegal environment variable name"),
        ({"user": "ghost"}, "find user ghost: no matching entries in passwd file"),
        (
            {"mounts": (Bind(host_path=Path("/no/such"), target=PurePosixPath("/m")),)},
            "bind /no/such: No such file or directory",
        ),
        ({"mounts": (Tmpfs(target=PurePosixPath("/etc/passwd")),)}, "mount tmpfs on /etc/passwd: Not a directory"),
        (
            {"limits": ResourceLimits(ulimits=(("nofiles", 1, 1),))},
            "set resource limit nofiles: there is no such limit",
        ),
    ],
)
def test_what_cannot_be_set_up_is_an_error_with_operation_and_path(
    image: Image, options: dict[str, object], message: str
) -> None:
    with pytest.raises(SandboxError) as caught:
        image.run("true", **options)  # type: ignore[arg-type]
    assert str(caught.value) == message
    assert caught.value.errno


def test_output_comes_in_order_per_stream_and_complete(image: Image) -> None:
    script = "i=0; while [ $i -lt 2000 ]; do echo out$i; echo err$i >&2; i=$((i+1)); done; cat /bin/busybox"
    result = image.shell(script)
    lines = [f"{name}{number}\n" for name in ("out", "err") for number in range(2000)]
    assert result.streams[1] == "".join(lines[:2000]).encode() + (image.base / "bin/busybox").read_bytes()
    assert result.err == "".join(lines[2000:])


def test_background_processes_end_with_the_process(image: Image) -> None:
    result = image.shell("sleep 1000 & (busybox setsid sleep 1000 &) ; busybox nohup sleep 1000 & echo done")
    assert (result.out, result.status.code) == ("done\n", 0)


def test_cancel_kills_everything_and_removes_the_mount_points(image: Image) -> None:
    cancel = threading.Event()

    def on_output(_stream: int, _data: bytes) -> None:
        cancel.set()

    process = Process(
        args=("sh", "-c", "trap '' TERM; sleep 1000 & echo up; while true; do sleep 1000; done"), env=image.env
    )
    status = launcher.run(Spec(root=image.root, process=process), output=on_output, cancel=cancel)
    assert (status, status.shell_code) == (ExitStatus(signal=9), 137)
    assert image.left() == []
    assert leaked_mounts(image) == []


def test_a_cancel_that_was_set_before_ends_at_once(image: Image) -> None:
    cancel = threading.Event()
    cancel.set()
    assert image.run("sleep", "1000", cancel=cancel).status == ExitStatus(signal=9)


def test_an_exception_of_the_output_callback_ends_the_sandbox(image: Image) -> None:
    def broken(_stream: int, _data: bytes) -> None:
        raise ZeroDivisionError

    process = Process(args=("sh", "-c", "echo x; sleep 1000"), env=image.env)
    with pytest.raises(ZeroDivisionError):
        launcher.run(Spec(root=image.root, process=process), output=broken)


def test_many_threads_run_sandboxes_at_once(tmp_path: Path, base: Path) -> None:
    images = []
    for number in range(8):
        (tmp_path / str(number)).mkdir()
        images.append(Image(tmp_path / str(number), base))
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda number: images[number].shell(f"echo {number} > /n; cat /n"), range(8)))
    assert [result.out for result in results] == [f"{number}\n" for number in range(8)]
    assert [image.left() for image in images] == [["n"]] * 8


def test_descriptors_of_the_builder_are_all_closed_again(image: Image) -> None:
    image.run("true")
    before = os.listdir("/proc/self/fd")
    image.run("true")
    with pytest.raises(SandboxError):
        image.run("true", cwd="/proc/nowhere")
    assert os.listdir("/proc/self/fd") == before


def test_resource_limits_are_set_and_raising_one_needs_the_right(image: Image) -> None:
    limits = ResourceLimits(ulimits=(("nofile", 100, 200), ("core", 5 << 10, 5 << 10), ("fsize", 1 << 20, 1 << 20)))
    result = image.shell("grep -E 'open files|core' /proc/self/limits; ulimit -f", limits=limits)
    assert [line.split()[-3:-1] for line in result.out.splitlines()[:2]] == [["5120", "5120"], ["100", "200"]]


def test_forty_kills_of_the_builder_leave_no_process_and_no_mount(image: Image) -> None:
    script = Path(__file__).with_name("killed_builder.py")
    command = [sys.executable, str(script), str(image.base), str(image.directory)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[3])
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["40"]
    assert leaked_mounts(image) == []
    assert image.shell("echo fine").out == "fine\n"


def test_who_has_more_capabilities_than_usual_does_without_nothing(tmp_path: Path) -> None:
    for capabilities, degrades in ((0, True), (DEFAULT, True), (DEFAULT | mask("SYS_ADMIN"), False)):
        spec = Spec(root=DirectoryRoot(path=tmp_path), process=Process(args=("true",)), capabilities=capabilities)
        assert launcher.make_plan(spec).settings.isolation.may_degrade is degrades
