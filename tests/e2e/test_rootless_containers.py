"""Containers of an ordinary user: all in one user namespace, which comes with the first and goes with the last."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.e2e.test_container_kills import assert_true_and_removable, monitors_of, work
from tests.helpers.hosts import need_programs
from tests.helpers.leftovers import wait_until_no_process
from tests.helpers.ordinary import UID, OrdinaryUser, ordinary_user
from tests.helpers.waiting import settled, until

pytestmark = pytest.mark.xdist_group("rootless containers")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> OrdinaryUser:
    need_programs(["busybox", "newuidmap", "setpriv", "unshare"])
    made = ordinary_user(tmp_path_factory.mktemp("containers") / "home")
    made.import_small()
    return made


@pytest.fixture
def user(home: OrdinaryUser) -> Iterator[OrdinaryUser]:
    yield home
    home.remove_containers()
    await_no_monitor(home)
    names = sorted(path.name for path in (home.directory / "store/containers").iterdir())
    assert [name for name in names if not name.startswith("tmp-")] == ["names"]


def await_no_monitor(user: OrdinaryUser) -> None:
    assert settled(lambda: monitors_of(user), []) == []


def output(user: OrdinaryUser, *words: str, check: bool = True) -> str:
    return user.run(*words, check=check).stdout.strip()


def awaited(user: OrdinaryUser, wanted: str, *words: str) -> None:
    """Wait until a command prints *wanted*."""
    assert settled(lambda: output(user, *words, check=False), wanted) == wanted


def state(user: OrdinaryUser, name: str) -> tuple[str, int, str]:
    found = json.loads(user.run("inspect", name).stdout)[0]["State"]
    return found["Status"], found["ExitCode"], found["Error"]


def namespaces(user: OrdinaryUser, *names: str) -> set[str]:
    """The user namespaces of the first processes of running containers."""
    pids = output(user, "inspect", "-f", "{{.State.Pid}}", *names).split()
    assert len(pids) == len(names)
    return {os.readlink(f"/proc/{pid}/ns/user") for pid in pids}


def test_a_container_lives_from_run_to_rm(user: OrdinaryUser) -> None:
    words = "echo said; echo kept > /kept; chown 5:6 /kept; exec sleep 1000"
    identity = output(user, "run", "-d", "--name", "one", "small", "sh", "-c", words)
    awaited(user, "said", "logs", "one")
    awaited(user, "5 6", "exec", "one", "stat", "-c", "%u %g", "/kept")
    assert output(user, "ps", "-q", "--no-trunc") == identity
    written = user.directory / "store/containers" / identity / "rootfs/fs/kept"
    assert (written.stat().st_uid, written.stat().st_gid) == (500004, 500005)
    assert "sleep 1000" in output(user, "top", "one")
    assert output(user, "stop", "-t", "0", "one") == "one"
    assert state(user, "one") == ("exited", 137, "")
    user.run("start", "one")
    awaited(user, "kept", "exec", "one", "cat", "/kept")
    user.run("kill", "one")
    assert output(user, "wait", "one") == "137"
    assert output(user, "diff", "one") == "A /kept"
    user.run("rm", "one")
    assert output(user, "ps", "-aq") == ""


def test_root_inside_is_the_user_and_may_no_more_than_a_step(user: OrdinaryUser) -> None:
    user.run("run", "-d", "--name", "one", "small", "sleep", "1000")
    inside = output(user, "exec", "one", "sh", "-c", "id -u; cat /proc/self/uid_map; grep Cap /proc/self/status")
    lines = inside.splitlines()
    assert lines[0] == "0"
    assert [line.split() for line in lines[1:3]] == [["0", str(UID), "1"], ["1", "500000", "65536"]]
    own = output(user, "run", "--rm", "small", "grep", "Cap", "/proc/self/status")
    assert lines[3:] == own.splitlines()
    assert user.run("exec", "one", "sh", "-c", "exit 7", check=False).returncode == 7


def test_all_containers_share_one_namespace_also_when_they_start_at_once(user: OrdinaryUser) -> None:
    names = [f"c{number}" for number in range(6)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda name: user.run("run", "-d", "--name", name, "small", "sleep", "1000"), names))
    places = namespaces(user, *names)
    assert len(places) == 1
    # The one that made it may go: the others keep it, and one more joins them.
    user.run("rm", "-f", *names[:5])
    user.run("run", "-d", "--name", "late", "--network", f"container:{names[5]}", "small", "sleep", "1000")
    assert namespaces(user, names[5], "late") == places


def test_files_are_copied_and_become_an_image(user: OrdinaryUser) -> None:
    (user.directory / "given").write_text("given\n", encoding="ascii")
    os.chown(user.directory / "given", UID, UID)
    user.run("run", "-d", "--name", "one", "small", "sh", "-c", "echo x > /x; chown 5:5 /x; chmod 600 /x; sleep 1000")
    awaited(user, "600", "exec", "one", "stat", "-c", "%a", "/x")
    user.run("cp", str(user.seen(user.directory / "given")), "one:/given")
    assert output(user, "exec", "one", "stat", "-c", "%u %g", "/given") == "0 0"
    user.run("cp", "one:/x", str(user.seen(user.directory / "taken")))
    status = (user.directory / "taken").stat()
    assert ((user.directory / "taken").read_text(), status.st_uid) == ("x\n", UID)
    user.run("cp", "one:/.", str(user.seen(user.directory / "whole")))
    assert [*(user.directory / "whole/proc").iterdir()] == [*(user.directory / "whole/sys").iterdir()] == []
    user.run("commit", "one", "made")
    assert output(user, "run", "--rm", "made", "stat", "-c", "%u %a", "/x") == "5 600"
    user.run("stop", "-t", "0", "one")
    user.run("cp", "one:/x", str(user.seen(user.directory / "again")))
    assert (user.directory / "again").read_text() == "x\n"
    assert "x\n" in user.run("export", "one").stdout


def test_volumes_keep_their_data_and_its_owners(user: OrdinaryUser) -> None:
    closed = "mkdir -m 700 /v/inner; chown 7 /v/inner; touch /v/inner/file; sleep 1000"
    user.run("run", "-d", "--name", "one", "-v", "data:/v", "-v", "/anonymous", "small", "sh", "-c", closed)
    awaited(user, "/v/inner/file", "exec", "one", "ls", "/v/inner/file")
    assert "data" in output(user, "system", "df", "-v")
    user.run("rm", "-fv", "one")
    assert output(user, "volume", "ls", "-q") == "data"
    assert output(user, "run", "--rm", "-v", "data:/v", "small", "stat", "-c", "%u", "/v/inner") == "7"
    user.run("create", "--name", "two", "-v", "data:/new/v", "small", "stat", "-c", "%u", "/new/v/inner/copied")
    user.run("cp", "/etc/hostname", "two:/new/v/inner/copied")
    assert output(user, "start", "-a", "two") == "0"
    assert user.run("diff", "two").stdout == ""
    user.run("rm", "two")
    user.run("volume", "rm", "data")
    assert output(user, "volume", "ls", "-q") == ""


def test_a_restart_policy_and_rm_are_kept_by_the_monitor(user: OrdinaryUser) -> None:
    user.run("run", "-d", "--name", "again", "--restart", "on-failure:2", "small", "false")
    awaited(user, "exited 2", "inspect", "-f", "{{.State.Status}} {{.RestartCount}}", "again")
    user.run("run", "-d", "--rm", "--name", "gone", "-v", "/v", "small", "chown", "9", "/v", "/etc")
    awaited(user, "again", "ps", "-a", "--format", "{{.Names}}")
    assert output(user, "volume", "ls", "-q") == ""


def test_a_container_ends_with_its_monitor_and_is_started_again(user: OrdinaryUser) -> None:
    user.run("run", "-d", "--name", "one", "small", "sh", "-c", "echo kept >> /kept; chown 5 /kept; sleep 1000")
    awaited(user, "5", "exec", "one", "stat", "-c", "%u", "/kept")
    process = int(output(user, "inspect", "-f", "{{.State.Pid}}", "one"))
    for monitor in monitors_of(user):
        os.kill(monitor, signal.SIGKILL)
    await_no_monitor(user)
    assert state(user, "one") == ("exited", 137, "monitor lost")
    until(lambda: not Path(f"/proc/{process}").exists())
    user.run("start", "one")
    awaited(user, "kept\nkept", "exec", "one", "cat", "/kept")


def test_files_under_other_ids_are_refused_by_name(user: OrdinaryUser) -> None:
    user.run("create", "--name", "one", "small", "true")
    other = replace(user, variables=(("SUBORDINATE", "tester:700000:65536"),))
    refused = other.run("start", "one", check=False)
    assert refused.returncode == 1
    assert "belong to other ids: 0:4242+1,1:500000+65536" in refused.stderr
    assert user.run("start", "one").stdout == "one\n"


def test_namespaces_of_the_host_are_shared_as_far_as_a_user_may(user: OrdinaryUser) -> None:
    shared = ("--ipc", "host", "--uts", "host", "--cgroupns", "host")
    user.run("run", "-d", "--name", "one", *shared, "small", "sleep", "1000")
    found = output(user, "exec", "one", "sh", "-c", "hostname; readlink /proc/self/ns/ipc; ls -d /dev/mqueue")
    assert found.splitlines() == [os.uname().nodename, os.readlink("/proc/self/ns/ipc"), "/dev/mqueue"]


def test_what_a_user_cannot_have_is_said(user: OrdinaryUser) -> None:
    limited = user.run("run", "-d", "--name", "one", "--memory-reservation", "64m", "small", "sleep", "1000")
    assert "the limit memory-reservation is not kept" in limited.stderr
    paused = user.run("pause", "one", check=False)
    assert paused.returncode == 1
    assert "no control group that can be frozen" in paused.stderr
    single = user.run("run", "-d", "--isolation", "single", "small", "true", check=False)
    assert "containers have no isolation 'single' yet" in single.stderr


@pytest.mark.thorough
def test_kills_of_commands_and_monitors_leave_true_states_and_nothing_else(user: OrdinaryUser) -> None:
    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(work, user, 100 + number, 6) for number in range(4)]
        assert [line for job in jobs for line in job.result()] == []
    assert_true_and_removable(user, user.directory / "store")
    assert wait_until_no_process(str(user.directory)) == []


_LOOKS = """
echo 'echo was here > /mnt/home/written' > /bin/evil; chmod +x /bin/evil
ln -s /mnt/home /way
while :; do
    ls -l /proc/*/exe /proc/*/cwd /proc/*/root /proc/*/fd
    cat /proc/*/environ | tr '\\0' '\\n'
    sleep 0.05
done 2>/dev/null
"""


def test_nothing_of_the_user_is_reached_through_links_or_by_looking_at_who_enters(user: OrdinaryUser) -> None:
    secret = user.directory / "secret"
    secret.write_text("SECRET\n", encoding="ascii")
    os.chown(secret, UID, UID)
    given = str(user.seen(secret))
    user.run("run", "-d", "--name", "one", "small", "sh", "-c", _LOOKS)
    awaited(user, "/mnt/home", "exec", "one", "readlink", "/way")
    for _ in range(3):
        user.run("exec", "-e", "VARIABLE=of-exec", "one", "/bin/true")
    assert user.run("exec", "-w", "/proc/self/fd/3", "one", "true", check=False).returncode != 0
    printed = output(user, "logs", "one")
    # What the programs are when they are executed is theirs to see.
    assert "busybox" in printed
    for found in ("python", "store", "pybuild", "SUBORDINATE"):
        assert found not in printed
    for runs in (True, False):
        if not runs:
            user.run("stop", "-t", "0", "one")
        for source in ("one:/way/secret", "one:/mnt/home/secret"):
            taken = user.run("cp", "-L", source, str(user.seen(user.directory / "stolen")), check=False)
            assert taken.returncode == 1, taken.stdout
        refused = user.run("cp", given, "one:/way/written", check=False)
        assert "Traceback" not in refused.stderr
        assert not (user.directory / "written").exists()
    assert not (user.directory / "stolen").exists()


_EMBEDDED = """
import asyncio, threading, pybuild

end = threading.Event()
threading.Thread(target=end.wait, daemon=True).start()  # when the rest fails, the program ends
with pybuild.Store.open() as store:
    def one(name):
        with pybuild.start("small", ("sleep", "1000"), store, name=name) as container:
            printed = []
            code = container.run(("sh", "-c", "id -u; exit 3"), lambda stream, data: printed.append(data))
            container.stop(0)
            return code, b"".join(printed), container.exit_code

    async def both():
        return await asyncio.gather(*(asyncio.to_thread(one, name) for name in ("first", "second")))

    print(asyncio.run(both()), pybuild.containers(store))
end.set()
"""


def test_a_program_with_threads_and_an_event_loop_has_containers(user: OrdinaryUser) -> None:
    command = user.command()
    words = [*command[: command.index("-m")], "-c", _EMBEDDED]
    done = subprocess.run(words, env=user.environment, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout == "[(3, b'0\\n', 137), (3, b'0\\n', 137)] []\n"


def test_shared_memory_is_that_of_another_container(user: OrdinaryUser) -> None:
    user.run("run", "-d", "--name", "one", "--ipc", "shareable", "small", "sleep", "1000")
    joined = ("--ipc", "container:one", "small")
    user.run("run", "--name", "two", *joined, "sh", "-c", "echo x >/dev/shm/x")
    assert output(user, "exec", "one", "cat", "/dev/shm/x") == "x"
    user.run("run", "--name", "three", "--ipc", "host", "small", "ls", "/dev/shm")


def test_processes_are_shared_where_a_control_group_ends_them(user: OrdinaryUser) -> None:
    user.run("run", "-d", "--name", "one", "small", "sleep", "1000")
    joined = ("--pid", "container:one")
    refused = user.run("run", "--rm", "--name", "two", *joined, "small", "true", check=False)
    assert (refused.returncode, "needs a control group" in refused.stderr) == (125, True), refused.stderr
    with own_groups(f"test-pid-{os.getpid()}") as parent:
        within = ("--cgroup-parent", parent, *joined, "small")
        user.run("run", "-d", "--name", "three", *within, "sh", "-c", "setsid sleep 8881 & exec sleep 8882")
        assert output(user, "exec", "three", "cat", "/proc/1/comm") == "sleep"
        assert "8881" in output(user, "top", "three", "-o", "pid,args")
        user.run("stop", "-t", "0", "three")
        assert "888" not in output(user, "top", "one", "-o", "pid,args")
        assert (
            output(user, "run", "--name", "four", "--cgroup-parent", parent, "--pid", "host", "small", "echo", "ok")
            == "ok"
        )
        user.run("rm", "three", "four")


@contextmanager
def own_groups(name: str) -> Iterator[str]:
    """Control groups that the ordinary user may join; skips the test where there can be none.

    They are of version 1: in version 2 the user would also need rights in the group that its processes are in.
    """
    places = [place / name for place in Path("/sys/fs/cgroup").glob("*") if (place / "tasks").exists()]
    if not places:
        pytest.skip("needs control groups of version 1")
    made = []
    try:
        for place in places:
            try:
                place.mkdir()
            except OSError:
                pytest.skip("needs control groups that can be written")
            made.append(place)
            for path in (place, *place.iterdir()):
                os.chown(path, UID, UID)
        yield f"/{name}"
    finally:
        for place in made:
            place.rmdir()
