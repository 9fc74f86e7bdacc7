"""A process with a terminal of its own, seen from the terminal of the caller."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pybuild.runtime.sandbox.console import Console
from pybuild.runtime.sandbox.spec import ExitStatus
from tests.runtime.sandboxes import Image, python, python_image

REPOSITORY = Path(__file__).parents[3]
CALLER = """
import fcntl, os, sys, termios
from pathlib import Path
from pybuild.runtime.errors import SandboxError
from pybuild.runtime.sandbox.launcher import run
from pybuild.runtime.rootfs.roots import OverlayRoot
from pybuild.runtime.sandbox.spec import Process, Spec
lower, upper, work, user, script = sys.argv[1:]
root = OverlayRoot(lowers=(Path(lower),), upper=Path(upper), work=Path(work))
process = Process(args=("sh", "-c", script), env=(("PATH", "/bin"),), user=user)
spec = Spec(root=root, process=process, interactive=True, terminal=True)
if os.isatty(0):  # the terminal of this session: only so are sizes told by a signal
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
def show(stream, data):
    sys.stdout.buffer.write(data)
    sys.stdout.flush()
try:
    print("code", run(spec, output=show).shell_code)
except SandboxError as error:
    print(error)
"""


class Window:
    """The terminal of a caller, from the side of the person who looks at it."""

    def __init__(self, master: int, process: "subprocess.Popen[bytes]") -> None:
        self.master, self.process = master, process
        self.shown = ""

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def wait_for(self, text: str) -> str:
        """Return what was shown up to *text*, which must come; what comes after it is for the next call."""
        while text not in self.shown:
            ready, _, _ = select.select([self.master], [], [], 20)
            assert ready, f"not shown: {text!r} in {self.shown!r}"
            self.shown += os.read(self.master, 1 << 16).decode()
        before, _, self.shown = self.shown.partition(text)
        return before

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def caller(image: Image, script: str, user: str = "") -> list[str]:
    directories = [str(path) for path in (image.base, image.upper, image.directory / "work")]
    return [sys.executable, "-c", CALLER, *directories, user, script]


@contextmanager
def window(image: Image, script: str, user: str = "") -> Iterator[Window]:
    master, terminal = pty.openpty()
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 111, 0, 0))
    before = termios.tcgetattr(terminal)
    process = subprocess.Popen(
        caller(image, script, user),
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        cwd=REPOSITORY,
        start_new_session=True,
    )
    try:
        yield Window(master, process)
        assert process.wait() is not None
        assert termios.tcgetattr(terminal) == before
    finally:
        process.kill()
        process.wait()
        os.close(master)
        os.close(terminal)


def test_the_process_has_a_terminal_of_its_own_with_the_size_of_the_window(image: Image) -> None:
    script = "busybox tty; busybox stty size; (echo by name > /dev/tty); [ -t 0 ] && [ -t 1 ] && [ -t 2 ] && echo all"
    with window(image, script) as seen:
        assert seen.wait_for("code 0").split("\r\n") == ["/dev/pts/0", "33 111", "by name", "all", ""]


def test_what_is_typed_reaches_the_process_once_and_is_echoed_once(image: Image) -> None:
    with window(image, 'echo ready; read x; echo "got $x"') as seen:
        seen.wait_for("ready\r\n")
        seen.type("hello\r")
        assert seen.wait_for("code 0") == "hello\r\ngot hello\r\n"


def test_control_c_is_for_the_process_and_not_for_the_caller(image: Image) -> None:
    with window(image, "trap 'echo caught; exit 5' INT; echo ready; while :; do sleep 0.01; done") as seen:
        seen.wait_for("ready\r\n")
        seen.type("\x03")
        assert "caught\r\n" in seen.wait_for("code 5")


def test_a_new_size_of_the_window_is_told_to_the_process(image: Image) -> None:
    script = "trap 'busybox stty size; exit' WINCH; echo ready; while :; do sleep 0.01; done"
    with window(image, script) as seen:
        seen.wait_for("ready\r\n")
        seen.resize(50, 160)
        assert seen.wait_for("code 0") == "50 160\r\n"


def test_an_ordinary_user_owns_its_terminal(image: Image) -> None:
    with window(image, "id -u > /dev/stdout; stat -c %u:%a /dev/pts/0", user="user") as seen:
        assert seen.wait_for("code 0").split() == ["1000", "1000:620"]


def test_more_input_than_a_terminal_holds_does_not_stop_the_output(image: Image) -> None:
    with window(
        image,
        "busybox stty raw -echo; echo ready; cat /bin/busybox | busybox od | busybox tail -n 1; busybox head -c 100000 | wc -c",
    ) as seen:
        seen.wait_for("ready")
        for _ in range(100):
            seen.type("x" * 1000)
        assert "100000" in seen.wait_for("code 0")


def test_a_sandbox_that_cannot_be_made_leaves_the_window_as_it_was(image: Image) -> None:
    with window(image, "true", user="ghost") as seen:
        seen.wait_for("find user ghost: no matching entries in passwd file")


def test_a_caller_that_is_told_to_end_restores_its_terminal(image: Image) -> None:
    with window(image, "echo ready; while :; do sleep 0.01; done") as seen:
        seen.wait_for("ready\r\n")
        os.kill(seen.process.pid, signal.SIGINT)
        seen.wait_for("KeyboardInterrupt")


def test_without_a_window_what_the_terminal_shows_is_stream_1(image: Image) -> None:
    result = image.shell("[ -t 1 ] && echo terminal; echo error >&2", terminal=True)
    assert (result.streams[1], result.streams[2]) == (b"terminal\r\nerror\r\n", b"")


def test_the_end_of_what_comes_from_a_pipe_is_a_control_d(image: Image) -> None:
    done = subprocess.run(
        caller(image, "cat; echo end"), input=b"hello\n", capture_output=True, cwd=REPOSITORY, check=True
    )
    assert done.stdout == b"hello\r\nhello\r\nend\r\ncode 0\n"


def test_input_cannot_be_pushed_into_the_terminal(tmp_path: Path, base: Path) -> None:
    script = "import fcntl, os\nfor call in (0x5412, 0x541C):\n try: fcntl.ioctl(0, call, b'x')\n except OSError as e: print(e.errno)"
    result = python(python_image(tmp_path, base), script, terminal=True)
    assert result.out.split() == ["1", "1"]


@pytest.mark.parametrize("link", ["/proc/sys/kernel", "/etc/passwd"])
def test_links_of_an_image_have_no_say_in_which_terminal_it_is(image: Image, link: str) -> None:
    """CVE-2025-52565, SECURITY A04."""
    (image.layer / "dev").mkdir()
    for name in ("pts", "console", "ptmx", "tty"):
        (image.layer / "dev" / name).symlink_to(link)
    before = Path("/proc/sys/kernel/core_pattern").read_text()
    result = image.shell("busybox tty; echo x > $(busybox tty)", terminal=True)
    assert (result.out, result.status) == ("/dev/pts/0\r\nx\r\n", ExitStatus(code=0))
    assert Path("/proc/sys/kernel/core_pattern").read_text() == before


def test_a_change_of_size_that_comes_before_the_handler_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    monkeypatch.setattr(Console, "_copy_size", lambda _: done.append("size"))
    monkeypatch.setattr(signal, "signal", lambda *_: done.append("handler"))
    master, terminal = pty.openpty()
    console = Console(master, select.poll(), typed=False)
    console.open()
    console.close()
    os.close(terminal)
    assert done == ["handler", "size"]
