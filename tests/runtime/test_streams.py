"""The streams of a process: it owns them, and those of the caller are nobody's but the caller's."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.runtime.sandboxes import Image

CALLER = """
import sys
from pathlib import Path
from pybuild.runtime.sandbox.launcher import run
from pybuild.runtime.rootfs.roots import OverlayRoot
from pybuild.runtime.sandbox.spec import Process, Spec
lower, upper, work, user, script = sys.argv[1:]
root = OverlayRoot(lowers=(Path(lower),), upper=Path(upper), work=Path(work))
process = Process(args=("sh", "-c", script), env=(("PATH", "/bin"),), user=user)
def show(stream, data):
    file = (sys.stdout if stream == 1 else sys.stderr).buffer
    file.write(data)
    file.flush()
sys.exit(run(Spec(root=root, process=process, interactive=True), output=show).shell_code)
"""


def caller(image: Image, script: str, user: str = "") -> list[str]:
    directories = [str(path) for path in (image.base, image.upper, image.directory / "work")]
    return [sys.executable, "-c", CALLER, *directories, user, script]


@pytest.mark.parametrize("user", ["", "user", "4242:4242"])
def test_every_user_opens_its_streams_by_name(image: Image, user: str) -> None:
    script = (
        "echo 1 > /dev/stdout; echo 2 > /proc/self/fd/1; echo 3 | busybox tee /dev/stderr;"
        "echo 4 > /dev/stderr; echo 5 > /proc/self/fd/2; cat /dev/stdin"
    )
    result = image.shell(script, user=user)
    assert (result.out, result.err) == ("1\n2\n3\n", "3\n4\n5\n")
    assert image.run("busybox", "sh", "-c", "exec busybox cp /etc/group /dev/stdout", user=user).out[:4] == "root"


def test_a_link_of_a_log_to_a_stream_works_for_a_user(image: Image) -> None:
    (image.layer / "access.log").symlink_to("/dev/stdout")
    assert image.shell("echo line >> /access.log", user="user").out == "line\n"


def test_the_device_that_a_process_reads_belongs_to_root(image: Image) -> None:
    assert image.shell("stat -c '%u %a' /dev/null; stat -L -c %u /proc/self/fd/0", user="user").out == "0 666\n0\n"


def test_streams_of_the_caller_are_passed_on_and_stay_as_they_are(image: Image, tmp_path: Path) -> None:
    for name in ("in", "out"):
        (tmp_path / name).write_text("given\n")
        (tmp_path / name).chmod(0o600)
    near, far = socket.socketpair()
    with near, far, (tmp_path / "in").open("rb") as given, (tmp_path / "out").open("wb") as out:
        streams = (given.fileno(), out.fileno(), far.fileno())
        before = [os.fstat(fd) for fd in streams]
        command = caller(image, "cat /dev/stdin > /dev/stdout; echo 2 > /dev/stderr; stat -L -c %u /dev/stdin", "user")
        done = subprocess.run(command, stdin=given, stdout=out, stderr=far, check=False, cwd=Path(__file__).parents[2])
        after = [os.fstat(fd) for fd in streams]
        assert done.returncode == 0
        assert near.recv(100) == b"2\n"
    assert [(s.st_uid, s.st_gid, s.st_mode) for s in after] == [(s.st_uid, s.st_gid, s.st_mode) for s in before]
    assert (tmp_path / "out").read_text() == "given\n1000\n"


def test_input_of_any_size_arrives_whole_and_ends(image: Image) -> None:
    data = os.urandom(1 << 20)
    command = caller(image, "sleep 0.1; cat")
    done = subprocess.run(command, input=data, capture_output=True, check=True, cwd=Path(__file__).parents[2])
    assert done.stdout == data


@pytest.mark.parametrize("script", ["exit 3", "exec 0<&-; sleep 0.1; exit 3", "busybox head -c 1 > /dev/null; exit 3"])
def test_input_that_is_not_read_holds_nothing_up(image: Image, script: str) -> None:
    # A pipe that is never closed, and always full.
    endless = ["sh", "-c", "exec cat /dev/zero"]
    with subprocess.Popen(endless, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as source:
        command = caller(image, script)
        done = subprocess.run(command, stdin=source.stdout, check=False, cwd=Path(__file__).parents[2], timeout=60)
        source.kill()
    assert done.returncode == 3


LATE = """
import select
from pybuild.runtime.sandbox.stdin import FedChild
pump = FedChild._pump
def late(self, *arguments):
    poller = select.poll()
    poller.register(self._feed, 0)
    poller.poll()
    return pump(self, *arguments)
FedChild._pump = late
"""


def test_input_that_is_there_when_the_process_has_ended_is_left(image: Image) -> None:
    program, option, script, *words = caller(image, "exit 3")
    reader, writer = os.pipe()
    os.write(writer, b"given")
    command = [program, option, LATE + script, *words]
    done = subprocess.run(command, stdin=reader, check=False, cwd=Path(__file__).parents[2])
    assert done.returncode == 3
    assert os.read(reader, 100) == b"given"
    os.close(reader)
    os.close(writer)


STOLEN = """
from pybuild.runtime.sandbox import stdin
genuine, answers = stdin.read_available, [None]
stdin.read_available = lambda fd: answers.pop() if answers else genuine(fd)
"""


def test_input_that_another_process_has_read_is_not_the_end(image: Image) -> None:
    # poll(2) has reported it, and read(2) of a stream that does not block finds nothing.
    program, option, script, *words = caller(image, "cat")
    command = [program, option, STOLEN + script, *words]
    done = subprocess.run(command, input=b"given", capture_output=True, check=True, cwd=Path(__file__).parents[2])
    assert done.stdout == b"given"


def test_a_process_that_is_not_interactive_reads_nothing_of_the_caller(image: Image) -> None:
    assert image.shell("cat").out == ""
