"""A monitor and its container: what is recorded, shown and passed on, and what is left afterwards."""

import json
import os
import shutil
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest

from pybuild.runtime.errors import RuntimeHostError
from pybuild.runtime.kernel.pidfd import open_process, start_time
from pybuild.runtime.monitor import messages
from pybuild.runtime.monitor.settings import ALWAYS, ON_FAILURE, LogFiles, Restart
from pybuild.runtime.monitor.starting import NoMonitor, Refused, ask, await_start, connected, held
from tests.helpers.leftovers import opened_by
from tests.helpers.waiting import until
from tests.runtime.monitor.watched import Watched, heard, watched
from tests.runtime.sandboxes import Image

PAUSE = 0.4
"""Seconds: longer than the first pauses before a restart."""


def lives(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def monitor_of(it: Watched) -> int:
    """The number of the monitor: of the processes that have its directory open, the one that leads a session."""
    for name in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError):
            is_monitor = b"monitor/bootstrap.py" in Path(f"/proc/{name}/cmdline").read_bytes()
            if is_monitor and os.getsid(int(name)) == int(name) and str(it.directory) in opened_by(name):
                return int(name)
    raise AssertionError("there is no monitor")


def test_the_end_is_recorded_with_its_code_and_times(image: Image) -> None:
    with watched(image, "sh", "-c", "echo out; echo err >&2; exit 7") as it:
        it.until_left()
        state = it.state
        assert (state["Status"], state["ExitCode"], state["Pid"], state["Error"]) == ("exited", 7, 0, "")
        assert "0001" < state["StartedAt"][:4] <= state["FinishedAt"][:4]
        entries = [json.loads(line) for line in (it.directory / "json.log").read_text().splitlines()]
        assert {(entry["stream"], entry["log"]) for entry in entries} == {("stdout", "out\n"), ("stderr", "err\n")}


def test_a_running_container_is_known_by_its_first_process(image: Image) -> None:
    with watched(image, "sleep", "1000") as it:
        state = it.state
        assert state["Status"] == "running"
        assert start_time(state["Pid"]) == state["StartTime"] > 0
        assert Path(f"/proc/{state['Pid']}/cmdline").read_bytes() == b"sleep\x001000\x00"
        assert Path(f"/proc/{state['Pid']}/status").read_text().split("NSpid:")[1].split()[2] == "1"


def test_a_signal_ends_it_with_128_and_the_signal(image: Image) -> None:
    script = "trap 'exit 3' USR1; echo ready; while :; do sleep 0.01; done"
    with watched(image, "sh", "-c", script) as it:
        it.until_printed(b"ready\n")
        ask(it.directory, messages.SIGNAL + b"10")
        assert it.until(Status="exited")["ExitCode"] == 3
    with watched(image, "sleep", "1000") as it:
        ask(it.directory, messages.SIGNAL + b"9")
        assert it.until(Status="exited")["ExitCode"] == 137


@pytest.mark.parametrize(
    ("args", "code", "reason"),
    [
        (("nothing",), 127, 'exec: "nothing": executable file not found in $PATH'),
        (("/etc/passwd",), 126, 'exec: "/etc/passwd": permission denied'),
    ],
)
def test_what_cannot_be_executed_was_never_started(image: Image, args: tuple[str], code: int, reason: str) -> None:
    with watched(image, *args, started=False) as it:
        with pytest.raises(Refused) as refused:
            await_start(it.channel)
        assert (refused.value.code, str(refused.value)) == (code, reason)
        it.until_left()
        assert (it.state["Status"], it.state["ExitCode"], it.state["StartedAt"][:4]) == ("created", code, "0001")


def test_a_sandbox_that_cannot_be_made_says_why(image: Image) -> None:
    with watched(image, "true", user="nosuch", started=False) as it:
        with pytest.raises(Refused, match="unable to find user nosuch: no matching entries") as refused:
            await_start(it.channel)
        assert refused.value.code == 128


def test_the_death_of_the_monitor_ends_the_container(image: Image) -> None:
    with watched(image, "sh", "-c", "sleep 1000 & sleep 1000") as it:
        pidfd = open_process(it.state["Pid"], it.state["StartTime"])
        assert pidfd is not None
        monitor = monitor_of(it)
        os.kill(monitor, signal.SIGKILL)
        it.until_left()
        until(lambda: not lives(it.state["Pid"]))
        os.close(pidfd)


def test_clients_are_shown_output_and_told_the_end(image: Image) -> None:
    with watched(image, "sh", "-c", "cat; echo done >&2; exit 4", interactive=True) as it:
        with connected(it.directory) as shown:
            shown.send(messages.ATTACH)
            # Messages of one client are read in order: this one is answered when the other has been read.
            shown.send(messages.NAME + b"c1")
            assert heard(shown, messages.DONE) == {messages.DONE: b""}
            it.channel.send(messages.ATTACH + b"i")
            it.channel.send(messages.INPUT + b"typed\n")
            it.channel.send(messages.END_INPUT)
            for channel in (it.channel, shown):
                assert heard(channel) == {messages.OUT: b"typed\n", messages.ERR: b"done\n", messages.ENDED: b"4"}
        assert it.printed in {b"typed\ndone\n", b"done\ntyped\n"}


def test_input_ends_when_its_client_leaves(image: Image) -> None:
    with watched(image, "sh", "-c", "cat; echo over", interactive=True) as it:
        with connected(it.directory) as typing:
            typing.send(messages.ATTACH + b"i")
            typing.send(messages.INPUT + b"x\n")
        it.until(Status="exited")
        assert it.printed == b"x\nover\n"


def test_a_terminal_has_the_size_of_its_window(image: Image) -> None:
    script = "read x; stty size; tty -s && echo terminal"
    with watched(
        image,
        "busybox",
        "sh",
        "-c",
        script.replace("stty", "busybox stty").replace("tty -s", "test -t 0"),
        terminal=True,
        interactive=True,
    ) as it:
        it.channel.send(messages.ATTACH + b"i")
        it.channel.send(messages.SIZE + b"33 99")
        it.channel.send(messages.INPUT + b"\n")
        assert heard(it.channel)[messages.OUT].endswith(b"33 99\r\nterminal\r\n")


def test_a_client_that_does_not_read_holds_up_the_process_and_loses_nothing(image: Image) -> None:
    script = "read x; i=0; while [ $i -lt 300 ]; do echo $i; busybox head -c 20000 /dev/zero; i=$((i+1)); done"
    with watched(image, "sh", "-c", script, log=LogFiles(0, 0), interactive=True) as it:
        it.channel.send(messages.ATTACH + b"i")
        it.channel.send(messages.INPUT + b"\n")
        time.sleep(1)
        assert it.state["Status"] == "running"
        shown = heard(it.channel)[messages.OUT]
        assert shown.replace(b"\0", b"").split() == [b"%d" % number for number in range(300)]


def test_what_fails_is_started_again_as_often_as_said(image: Image) -> None:
    with watched(image, "sh", "-c", "echo x; exit 1", restart=Restart(2, ON_FAILURE)) as it:
        it.until_left()
        assert (it.state["Status"], it.state["RestartCount"], it.printed) == ("exited", 2, b"x\nx\nx\n")


def test_one_that_is_stopped_is_not_started_again(image: Image) -> None:
    with watched(image, "sleep", "1000", restart=Restart(0, ALWAYS)) as it:
        first = it.state["Pid"]
        ask(it.directory, messages.SIGNAL + b"9")
        until(lambda: it.state["Pid"] not in {first, 0})
        assert it.state["RestartCount"] == 1
        ask(it.directory, messages.STOP + b"9")
        it.until_left()
        assert it.state["Status"] == "exited"
        with pytest.raises(NoMonitor):
            ask(it.directory, messages.SIGNAL + b"9")


def test_it_is_not_started_again_when_its_store_was_removed(image: Image) -> None:
    with watched(image, "sh", "-c", "exit 1", restart=Restart(0, ALWAYS)) as it:
        monitor = monitor_of(it)
        shutil.rmtree(it.directory)
        until(lambda: not opened_by(monitor))  # it may not have been reaped yet
        it.directory.mkdir()  # for the end of the block
        (it.directory / "monitor").touch()


def test_what_is_being_made_is_not_frozen(image: Image, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "cgroup.procs")  # whoever joins waits until somebody reads
    (tmp_path / "cgroup.freeze").write_text("0")
    with watched(image, "sleep", "1000", groups=(tmp_path,), started=False) as it:
        until((it.directory / "socket").exists)
        with pytest.raises(RuntimeHostError, match="not running"):
            ask(it.directory, messages.FREEZE)
        assert (tmp_path / "cgroup.freeze").read_text() == "0"
        (tmp_path / "cgroup.procs").read_text()
        await_start(it.channel)


def test_it_is_not_started_again_while_a_client_holds_it(image: Image) -> None:
    with watched(image, "sh", "-c", "exit 1", restart=Restart(0, ALWAYS)) as it:
        it.until(Status="restarting")
        with held(it.directory):
            before = it.until(Status="restarting")  # it may have been started just before
            time.sleep(PAUSE)
            assert it.state == before
            with held(it.directory):  # a second one, which leaves first
                pass
            time.sleep(PAUSE)
            assert it.state == before
        until(lambda: it.state["RestartCount"] > before["RestartCount"])


def test_one_that_is_held_can_be_stopped(image: Image) -> None:
    with watched(image, "sh", "-c", "exit 1", restart=Restart(0, ALWAYS)) as it:
        it.until(Status="restarting")
        with held(it.directory):
            ask(it.directory, messages.STOP + b"9")
            it.until_left()
        assert it.state["Status"] == "exited"
    with held(it.directory):  # without a monitor there is nothing to hold
        pass


def test_a_signal_is_accepted_while_the_end_of_the_process_has_not_been_seen(image: Image) -> None:
    with watched(image, "sleep", "1000") as it:
        monitor, process = monitor_of(it), it.state["Pid"]
        os.kill(monitor, signal.SIGSTOP)
        try:
            with connected(it.directory) as channel:
                channel.send(messages.STOP + b"15")
                os.kill(process, signal.SIGKILL)
                until(lambda: not lives(process))
                os.kill(monitor, signal.SIGCONT)
                assert heard(channel, messages.DONE)[messages.DONE] == b""
        finally:
            os.kill(monitor, signal.SIGCONT)
        it.until_left()
        assert it.state["ExitCode"] == 137


def test_a_request_that_fails_is_answered_with_its_reason_alone(image: Image) -> None:
    with watched(image, "sleep", "1000") as it:
        with pytest.raises(RuntimeHostError, match=r"^invalid argument$"):
            ask(it.directory, messages.SIGNAL + b"99")
        ask(it.directory, messages.STOP + b"9")
        it.until_left()


def test_afterwards_comes_unless_a_client_sees_to_it(image: Image) -> None:
    note = image.directory / "note"
    touch = (b"/bin/busybox", b"touch", os.fsencode(note))
    with watched(image, "true", afterwards=touch, started=False) as it:
        it.channel.send(messages.TIDIES)
        await_start(it.channel)
        it.until_left()
        time.sleep(0.1)
        assert not note.exists()
    with watched(image, "sleep", "0.1", afterwards=touch) as it:
        it.channel.send(messages.TIDIES)
        it.channel.close()
        it.until_left()
        until(note.exists)
    note.unlink()
    with watched(image, "sleep", "1000", afterwards=touch) as it:
        with connected(it.directory) as left:
            left.send(messages.TIDIES)
        with connected(it.directory) as other:
            other.send(messages.TIDIES)
            ask(it.directory, messages.STOP + b"9")
            it.until_left()
        time.sleep(0.1)
        assert not note.exists()


def test_the_monitor_is_small(image: Image) -> None:
    with watched(image, "sleep", "1000") as it:
        status = Path(f"/proc/{monitor_of(it)}/status").read_text()
        assert int(status.split("VmRSS:")[1].split()[0]) < 15_000
