"""The interpreter of the child in a form that cannot be written through; the attack itself is in test_sandbox.py."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pybuild.runtime.sandbox import forkserver_client, interpreter
from tests.helpers.hosts import need_root


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    (tmp_path / "program").write_bytes(Path("/bin/true").resolve().read_bytes())
    (tmp_path / "program").chmod(0o755)
    return tmp_path / "program"


def test_a_read_only_mount_runs_and_refuses_every_change(copy: Path) -> None:
    need_root()
    fd = interpreter.read_only_mount(str(copy))
    name = f"/proc/self/fd/{fd}"
    for act in (lambda: os.open(name, os.O_WRONLY), lambda: os.chmod(name, 0), lambda: os.truncate(name, 0)):
        with pytest.raises(OSError, match="Read-only") as caught:
            act()
        assert caught.value.errno == errno.EROFS
    assert subprocess.run(["x"], executable=name, pass_fds=(fd,), check=False).returncode == 0
    os.close(fd)


def test_a_sealed_copy_runs_and_can_never_be_written(copy: Path) -> None:
    fd = interpreter.sealed_copy(str(copy))
    name = f"/proc/self/fd/{fd}"
    assert Path(name).read_bytes() == copy.read_bytes()
    for act in (lambda: os.write(fd, b"x"), lambda: os.ftruncate(fd, 0)):
        with pytest.raises(PermissionError):
            act()
    assert subprocess.run(["x"], executable=name, pass_fds=(fd,), check=False).returncode == 0
    os.close(fd)


def test_without_the_right_to_mount_the_copy_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: str) -> int:
        raise PermissionError

    monkeypatch.setattr(interpreter, "read_only_mount", refuse)
    interpreter._open_interpreter.cache_clear()
    fd = interpreter.interpreter()
    command = [word for word in interpreter.child_argv() if not word.endswith(".py")]
    done = subprocess.run(
        [*command, "-c", "import ctypes, sys; print(sys.flags.isolated)"],
        executable=f"/proc/self/fd/{fd}",
        pass_fds=(fd,),
        env=interpreter.child_environment(),
        capture_output=True,
        check=True,
    )
    assert done.stdout == b"1\n"
    os.close(fd)
    interpreter._open_interpreter.cache_clear()


def test_no_variable_of_the_builder_reaches_the_child(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("LD_PRELOAD", "PYTHONPATH", "PYTHONSTARTUP", "PYBUILD_CANARY"):
        monkeypatch.setenv(name, str(tmp_path / "x"))
    monkeypatch.setattr(forkserver_client, "_SERVERS", {})
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    before = set(children.read_text().split())
    forkserver_client.start()
    [child] = set(children.read_text().split()) - before
    # Before the exec it shows our own variables, and in the middle of it none.
    before_exec = (Path("/proc/self/environ").read_bytes(), b"")
    while (environment := Path(f"/proc/{child}/environ").read_bytes()) in before_exec:
        pass
    assert {line.partition(b"=")[0] for line in environment.split(b"\0") if line} <= {b"LC_ALL", b"LD_LIBRARY_PATH"}
    (server,) = forkserver_client._SERVERS.values()
    server._channel.close()
    os.waitpid(int(child), 0)


def test_the_interpreter_is_opened_once_and_is_not_inherited() -> None:
    fd = interpreter.interpreter()
    assert (interpreter.interpreter(), os.get_inheritable(fd)) == (fd, False)
    assert Path(interpreter.program()).samefile(sys.executable)


def test_the_child_starts_with_few_modules() -> None:
    directory = Path(interpreter.__file__).parents[3]
    script = f"import sys; sys.path.append({str(directory)!r}); import pybuild.runtime.sandbox.inside.keeper; print(*sorted(sys.modules))"
    done = subprocess.run([interpreter.program(), "-I", "-S", "-c", script], capture_output=True, text=True, check=True)
    slow = {
        "typing",
        "dataclasses",
        "enum",
        "re",
        "json",
        "pathlib",
        "contextlib",
        "collections",
        "functools",
        "subprocess",
        "signal",
    }
    assert slow & set(done.stdout.split()) == set()
