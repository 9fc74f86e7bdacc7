"""What a process gives up before it becomes the program, each thing held on purpose by the one that gives it up."""

import ctypes
import os
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from pybuild.runtime.errors import SandboxError
from pybuild.runtime.kernel.capabilities import DEFAULT
from pybuild.runtime.kernel.syscalls import PR_CAP_AMBIENT, capget, capset
from pybuild.runtime.rootfs.identity import Identity
from pybuild.runtime.sandbox.inside import process
from pybuild.runtime.sandbox.inside.privileges import Confinement
from pybuild.runtime.sandbox.inside.process import Process, become
from tests.helpers.hosts import need_root
from tests.runtime.sandboxes import python, python_image

_NOTHING = Confinement(DEFAULT, False, False, (), b"")
_PR_CAP_AMBIENT_RAISE = 2
_NET_BIND_SERVICE = 10


def became(args: tuple[bytes, ...], before: Callable[[], None] = lambda: None, user: bytes = b"") -> str:
    """What *args* print on the root of the host, run by a process that did *before*."""
    need_root()
    with tempfile.TemporaryFile() as output:
        child = os.fork()
        if child == 0:
            try:
                os.dup2(output.fileno(), 1)
                before()
                root = os.open("/", os.O_PATH)
                become(Process(args, _NOTHING, b"/", ((b"PATH", os.fsencode(os.environ["PATH"])),), user), root)
            finally:
                os._exit(99)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        output.seek(0)
        return output.read().decode()


def status(before: Callable[[], None] = lambda: None, user: bytes = b"") -> dict[str, str]:
    text = became((b"cat", b"/proc/self/status"), before, user)
    return {name: value.strip() for name, _, value in (line.partition(":") for line in text.splitlines())}


def test_a_descriptor_that_somebody_forgot_is_closed_by_the_exec() -> None:
    def leak() -> None:
        for number in (7, 300):
            os.dup2(os.open("/etc", os.O_RDONLY), number, inheritable=True)

    assert became((b"ls", b"/proc/self/fd"), leak).split() == ["0", "1", "2", "3"]  # 3 is what ls lists


def test_ambient_and_inheritable_capabilities_are_empty() -> None:
    def hold() -> None:
        effective, permitted, _ = capget()
        capset(effective, permitted, 1 << _NET_BIND_SERVICE)
        ctypes.CDLL(None).prctl(PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _NET_BIND_SERVICE, 0, 0)
        assert f"CapAmb:\t{1 << _NET_BIND_SERVICE:016x}" in Path("/proc/self/status").read_text()

    for user in (b"", b"12345"):
        found = status(hold, user)
        assert (found["CapAmb"], found["CapInh"]) == ("0" * 16, "0" * 16)


def test_groups_of_the_builder_do_not_stay() -> None:
    assert status(lambda: os.setgroups([4, 27]), b"12345:54321")["Groups"] == "54321"
    found = status(lambda: os.setgroups([4, 27]), b"12345:54321")
    assert (found["Uid"], found["Gid"]) == ("\t".join(["12345"] * 4), "\t".join(["54321"] * 4))


def test_signals_umask_and_session_are_fresh() -> None:
    def hold() -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        os.umask(0o077)

    found = status(hold)
    assert (found["SigIgn"], found["SigBlk"], found["Umask"]) == ("0" * 16, "0" * 16, "0022")
    session = became((b"sh", b"-c", b"cut -d' ' -f1,6 /proc/$$/stat; true")).split()
    assert session[0] == session[1]


def test_the_bounding_set_is_dockers_whatever_the_builder_holds() -> None:
    found = status()
    assert int(found["CapBnd"], 16) & ~0xA80425FB == 0
    assert int(found["CapPrm"], 16) & ~0xA80425FB == 0


def test_a_working_directory_outside_of_the_root_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    need_root()
    outside = os.open("/usr", os.O_PATH)
    # As if the resolution inside the root had failed to hold.
    monkeypatch.setattr(process, "make_directory_inside", lambda *_: outside)
    identity = Identity(0, 0, (0,), b"/")
    child = os.fork()
    if child == 0:
        os.chroot(tmp_path)
        try:
            process._enter(outside, b"/x", identity, new=True)
        except SandboxError:
            os._exit(7)
        finally:
            os._exit(8)
    os.close(outside)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_the_session_keyring_of_the_builder_is_left(tmp_path: Path, base: Path) -> None:
    # The filter refuses keyctl, so only an insecure process can look; all of them leave the keyring.
    keyring = ctypes.CDLL(None, use_errno=True).syscall(250, 0, -3, 1)
    if keyring < 0:
        pytest.skip("needs a kernel with keyrings")
    script = "import ctypes; print(ctypes.CDLL(None).syscall(250, 0, -3, 0))"
    found = int(python(python_image(tmp_path, base), script, insecure=True).out)
    assert found > 0
    assert found != keyring


_LIMITS = """
import sys
from pathlib import Path
from pybuild.runtime.sandbox.launcher import run
from pybuild.runtime.rootfs.roots import DirectoryRoot
from pybuild.runtime.sandbox.spec import Process, Spec
process = Process(args=("sh", "-c", "ulimit -c; ulimit -Hc"), env=(("PATH", "/bin"),))
run(Spec(root=DirectoryRoot(path=Path(sys.argv[1])), process=process), output=lambda _, data: print(data.decode()))
"""


def test_no_core_file_is_written_although_the_builder_would_write_one(base: Path) -> None:
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    assert hard != 0, "this session cannot raise its limit, so the test would show nothing"
    done = subprocess.run(
        [sys.executable, "-c", _LIMITS, os.fspath(base)],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (hard, hard)),
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["0", "0"]
