"""Commands in a container that runs: they are in all its namespaces, and no freer than its process."""

import os
import signal
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from pybuild.runtime.kernel.capabilities import EVERY
from pybuild.runtime.monitor import exec_processes
from pybuild.runtime.monitor.settings import InsideCommand
from pybuild.runtime.rootfs.roots import DirectoryRoot
from pybuild.runtime.sandbox.inside.plan import NULL
from pybuild.runtime.sandbox.inside.privileges import Confinement
from pybuild.runtime.sandbox.inside.process import Process
from pybuild.runtime.sandbox.lasting_groups import make_groups
from pybuild.runtime.sandbox.launcher import make_plan
from pybuild.runtime.sandbox.spec import Process as Program
from pybuild.runtime.sandbox.spec import ResourceLimits, Spec
from tests.helpers.waiting import until
from tests.runtime.monitor.watched import watched
from tests.runtime.sandboxes import Image


def test_a_command_is_in_all_namespaces_of_the_container(image: Image) -> None:
    with watched(image, "sleep", "1000", hostname="inner") as it:
        pid = it.state["Pid"]
        code, printed = it.execute(
            "sh", "-c", "for n in mnt pid net ipc uts cgroup; do stat -Lc %i /proc/self/ns/$n; done"
        )
        assert code == 0
        theirs = [
            str(Path(f"/proc/{pid}/ns/{name}").stat().st_ino) for name in ("mnt", "pid", "net", "ipc", "uts", "cgroup")
        ]
        assert printed.decode().split() == theirs
        assert it.execute("cat", "/proc/1/cmdline") == (0, b"sleep\x001000\x00")


def test_its_exit_code_is_its_own(image: Image) -> None:
    with watched(image, "sleep", "1000") as it:
        assert it.execute("sh", "-c", "exit 9") == (9, b"")
        assert it.execute("sh", "-c", "kill -9 $$")[0] == -9
        assert it.execute("nosuch") == (127, b'exec: "nosuch": executable file not found in $PATH\n')
        assert it.state["Status"] == "running"


def test_it_holds_what_the_process_holds_and_no_more(image: Image) -> None:
    with watched(image, "sleep", "1000") as it:
        lines = [line.split() for line in Path(f"/proc/{it.state['Pid']}/status").read_text().splitlines()]
        names = ("CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:", "Seccomp:", "NoNewPrivs:", "Groups:")
        expected = [line for line in lines if line[0] in names]
        code, printed = it.execute("cat", "/proc/self/status")
        assert code == 0
        assert [line.split() for line in printed.decode().splitlines() if line.split()[0] in names] == expected
        assert it.execute("sh", "-c", "ls /proc/self/fd")[1].split() == [b"0", b"1", b"2", b"3"]
        assert it.execute("ulimit", "-c")[0] in {0, 127}


def until_entered(group: Path, before: set[str]) -> int:
    """Wait for a process called sleep in *group* that is not of *before*."""

    def entered() -> int:
        for pid in set((group / "cgroup.procs").read_text().split()) - before:
            with suppress(OSError):  # one that has ended
                if Path(f"/proc/{pid}/comm").read_text() == "sleep\n":
                    return int(pid)
        return 0

    return until(entered)


def test_it_is_counted_with_the_container(image: Image) -> None:
    groups, _ = make_groups(f"test-{os.getpid()}", "/pybuild-tests", ResourceLimits())
    if not groups:
        pytest.skip("needs control groups that can be written")
    with watched(image, "sleep", "1000", groups=groups) as it:
        before = {group: set((group / "cgroup.procs").read_text().split()) for group in groups}
        assert str(it.state["Pid"]) in before[groups[0]]
        entering = threading.Thread(target=it.execute, args=("sleep", "1001"))
        entering.start()
        found = [until_entered(group, before[group]) for group in groups]
        os.kill(found[0], signal.SIGKILL)
        entering.join()
        assert set(found) == {found[0]}


def test_user_groups_and_directory_are_those_of_the_container(image: Image) -> None:
    with watched(image, "sleep", "1000") as it:
        assert it.execute("sh", "-c", "id; pwd", user="user", cwd="/etc") == (
            0,
            b"uid=1000(user) gid=1000(user) groups=10(wheel),29(audio),1000(user)\n/etc\n",
        )
        assert it.execute("true", user="nosuch")[1].startswith(b"find user nosuch: no matching entries")


@pytest.mark.parametrize("number", range(3, 12))
def test_no_descriptor_of_the_monitor_leads_out(image: Image, number: int) -> None:
    # CVE-2024-21626
    with watched(image, "sleep", "1000") as it:
        code, printed = it.execute("cat", "../../../../etc/hostname", cwd=f"/proc/self/fd/{number}")
        assert code != 0 or printed == b""


def test_nothing_inside_looks_into_a_process_that_enters(image: Image) -> None:
    # CVE-2016-9962
    script = (
        "while :; do ls -l /proc/*/fd /proc/*/exe /proc/*/root 2>/dev/null | grep -e python -e memfd -e monitor; done"
    )
    with watched(image, "sh", "-c", script) as it:
        for _ in range(20):
            it.execute("true")
        assert it.printed == b""


def test_the_interpreter_cannot_be_written_through_its_link(image: Image) -> None:
    # CVE-2019-5736
    attack = image.layer / "x"
    attack.write_text("#!/proc/self/exe\nraise SystemExit(open('/proc/self/exe', 'r+b'))\n")
    attack.chmod(0o755)
    with watched(image, "sleep", "1000") as it:
        code, printed = it.execute("/x")
        assert code != 0
        assert b"Traceback" not in printed or b"Read-only file system" in printed or b"Text file busy" in printed


def test_modules_of_the_image_are_never_loaded(image: Image) -> None:
    # CVE-2019-14271
    import sys

    for directory in (*sys.path, os.path.dirname(os.__file__)):
        if directory.startswith("/"):
            place = image.layer / directory.lstrip("/")
            place.mkdir(parents=True, exist_ok=True)
            for name in ("traceback", "encodings/idna", "colorsys", "sitecustomize", "signal"):
                file = place / f"{name}.py"
                file.parent.mkdir(exist_ok=True)
                file.write_text("open('/loaded', 'w')\n")
    with watched(image, "sleep", "1000") as it:
        it.execute("true", user="nosuch")
        it.execute("nosuch")
    assert not (image.upper / "loaded").exists()


def test_a_false_multiplexer_is_no_terminal(image: Image) -> None:
    from pybuild.runtime.errors import SandboxError
    from pybuild.runtime.monitor.exec_processes import _open_ptmx

    (image.layer / "dev/pts").mkdir(parents=True)
    (image.layer / "dev/pts/ptmx").symlink_to("/dev/null")
    root = os.open(image.layer, os.O_PATH | os.O_DIRECTORY)
    with pytest.raises(SandboxError):
        _open_ptmx(root)
    (image.layer / "dev/pts/ptmx").unlink()
    (image.layer / "dev/pts/ptmx").write_text("")
    with pytest.raises(SandboxError, match="no terminal multiplexer"):
        _open_ptmx(root)
    os.close(root)


def test_a_privileged_command_gets_no_new_privileges_where_nobody_does() -> None:
    spec = Spec(root=DirectoryRoot(path=Path("/")), process=Program(args=("true",)), no_new_privileges=True)
    confinement = Confinement(EVERY, True, False, (), b"")
    asked = InsideCommand(True, Process((b"true",), confinement, b"/", (), b""), NULL)
    found = exec_processes._confined(asked, make_plan(spec)).confinement
    assert (found.capabilities, found.no_new_privileges) == (EVERY, True)
