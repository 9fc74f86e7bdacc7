"""Steps of a process that has one id only."""

import os
import pickle
import shutil
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pybuild.runtime.errors import SandboxError
from pybuild.runtime.kernel.capabilities import DEFAULT, mask
from pybuild.runtime.ownership import record, recording
from pybuild.runtime.ownership.record import FileOwner
from pybuild.runtime.ownership.table import birth_of
from pybuild.runtime.sandbox import isolation
from pybuild.runtime.sandbox.user_namespace import become_root
from tests.helpers.supervisors import supervisor_below
from tests.runtime.sandboxes import Image, busybox


def _single(function: Callable[[], Any]) -> Any:
    """Return what *function* returns in a process that has one id only; what it raises is an AssertionError here."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        value, error = None, ""
        try:
            os.environ[isolation.VARIABLE] = "single"
            become_root()
            value = function()
        except BaseException as raised:
            error = f"{type(raised).__name__}: {raised}"
        try:
            os.write(writer, pickle.dumps((value, error)))
        finally:
            os._exit(5)
    os.close(writer)
    with open(reader, "rb") as file:
        data = file.read()
    ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert data, f"the process ended with {ended}"
    value, error = pickle.loads(data)
    assert not error, error
    return value


def test_a_step_has_owners_that_nobody_else_sees(image: Image) -> None:
    def work() -> tuple[str, list[tuple[int, int, int, int]]]:
        script = "touch /f && chown 5:6 /f && ln -s f /l && chown -h 7:8 /l && stat -c %u:%g /f /l && id -u"
        result = image.shell(script)
        return result.out + result.err, list(recording.table().entries())

    out, entries = _single(work)
    assert out.split() == ["5:6", "7:8", "0"]
    assert record.read(str(image.upper / "f")) == FileOwner(5, 6)
    assert (image.upper / "f").stat().st_uid == 0
    assert [entry[2:] for entry in entries] == [(7, 8)]
    assert entries[0][0] == (image.upper / "l").lstat().st_ino


def test_a_link_of_a_lower_layer_is_known_by_its_copy(image: Image) -> None:
    (image.layer / "link").symlink_to("x")

    def work() -> list[tuple[int, int, int, int]]:
        image.shell("chown -h 7:8 /link")
        return list(recording.table().entries())

    entries = _single(work)
    assert entries[0][0] == (image.upper / "link").lstat().st_ino


@pytest.mark.parametrize("change", ["chmod 600 /p", "touch /p", "mv /p /q", "ln /p /q"])
def test_a_pipe_of_a_lower_layer_keeps_its_owner(image: Image, change: str) -> None:
    os.mkfifo(image.layer / "p")

    def work() -> str:
        found = image.layer / "p"
        opened = os.open(found, os.O_PATH)
        recording.table().add([(*birth_of(opened), 7, 8)])
        image.shell(change)
        return image.shell("stat -c %u:%g /p || stat -c %u:%g /q").out

    assert _single(work) == "7:8\n"
    assert list(image.upper.iterdir())


def test_a_link_below_another_root_is_known_by_its_copy(image: Image) -> None:
    jail = image.layer / "jail"
    (jail / "bin").mkdir(parents=True)
    shutil.copy(busybox(), jail / "bin")
    (jail / "old").symlink_to("x")

    def work() -> list[tuple[int, int, int, int]]:
        change = "busybox ln -s x /new && busybox chown -h 7:8 /new /old"
        result = image.shell(f"busybox chroot /jail /bin/busybox sh -c '{change}'")
        assert result.status.code == 0, result.err
        return list(recording.table().entries())

    found = {entry[0] for entry in _single(work)}
    assert found == {(image.upper / "jail" / name).lstat().st_ino for name in ("new", "old")}


def test_a_step_sees_neither_its_supervisor_nor_what_that_has(image: Image) -> None:
    result = _single(lambda: image.shell("ls -d /proc/[0-9]*; ls -l /proc/1/fd").out)
    assert [line for line in result.splitlines() if line.startswith("/proc")] == ["/proc/1"]
    assert "seccomp" not in result


def test_a_step_fails_when_its_supervisor_is_killed(image: Image) -> None:
    def work() -> str:
        def kill() -> None:
            os.kill(supervisor_below(os.getpid()), signal.SIGKILL)

        thread = threading.Thread(target=kill)
        thread.start()
        try:
            return str(image.shell("while stat /; do true; done; exit 0").status)
        except SandboxError as error:
            return str(error)
        finally:
            thread.join()

    assert "the process that answers its system calls has ended" in _single(work)


@pytest.mark.parametrize(
    "options", [{"insecure": True}, {"capabilities": DEFAULT | mask("SYS_ADMIN")}, {"seccomp": b""}]
)
def test_what_a_supervisor_cannot_answer_for_is_refused(image: Image, options: dict[str, object]) -> None:
    with pytest.raises(AssertionError, match="SandboxUnavailable: isolation single has no other capabilities"):
        _single(lambda: image.run("/bin/true", **options).status)


def test_the_status_is_that_of_the_process(image: Image) -> None:
    assert _single(lambda: image.shell("exit 7").status.code) == 7
    assert _single(lambda: image.shell("kill -9 $$").status.shell_code) in {0, 137}


def test_a_user_of_the_image_owns_what_it_makes(image: Image, tmp_path: Path) -> None:
    out = _single(lambda: image.shell("id -u; touch /tmp/f; stat -c %u:%g /tmp/f", user="user").out)
    assert out.split() == ["1000", "1000:1000"]
