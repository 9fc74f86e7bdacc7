import json
import os
import shutil
import signal
import time
from pathlib import Path
from threading import Barrier
from unittest import mock

import pytest

from pybuild.builder.containers import lifecycle
from tests.builder.cli.commands.container.conftest import LOOP, groups, monitors, until
from tests.builder.cli.conftest import Shop


def test_it_is_asked_and_then_killed(pen: Shop) -> None:
    pen.run("run", "-d", "--name", "one", "box", *LOOP)
    until(lambda: pen.run("logs", "one").out == "ready\n")
    assert pen.run("stop", "one").out == "one\n"
    assert pen.run("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "one").out == "exited 5\n"
    pen.run("run", "-d", "--name", "two", "box", "sleep", "1000")
    assert pen.run("stop", "-t", "0", "two").code == 0
    assert pen.run("inspect", "-f", "{{.State.ExitCode}}", "two").out == "137\n"
    assert pen.run("stop", "two", "one").out == "two\none\n"
    missing = pen.run("stop", "nope", "one")
    assert (missing.code, missing.out, missing.err) == (1, "one\n", "ERROR: No such container: nope\n")


def test_signals_are_by_name_or_number(pen: Shop) -> None:
    pen.run("run", "-d", "--name", "one", "box", *LOOP)
    until(lambda: pen.run("logs", "one").out == "ready\n")
    assert pen.run("kill", "-s", "sigterm", "one").out == "one\n"
    assert pen.run("wait", "one").out == "5\n"
    refused = pen.run("kill", "one")
    assert (refused.code, refused.err.endswith("is not running\n")) == (1, True)
    assert pen.run("kill", "-s", "99", "one").code == 1


def test_restart_starts_what_has_ended_too(pen: Shop) -> None:
    pen.run("run", "--name", "one", "box", "echo", "x")
    assert pen.run("restart", "one").out == "one\n"
    until(lambda: pen.run("logs", "one").out == "x\nx\n")


def test_a_paused_container_stands_still(pen: Shop) -> None:
    pen.run("run", "-d", "--name", "one", "box", "sh", "-c", "while :; do echo x; sleep 0.01; done")
    assert pen.run("pause", "one").out == "one\n"
    assert "(Paused)" in pen.run("ps").out
    before = len(pen.run("logs", "one").out)
    assert pen.run("exec", "one", "true").code == 1
    assert pen.run("pause", "one").code == 1
    assert len(pen.run("logs", "one").out) == before
    assert pen.run("unpause", "one").out == "one\n"
    until(lambda: len(pen.run("logs", "one").out) > before)
    assert pen.run("unpause", "one").code == 1
    pen.run("pause", "one")
    assert pen.run("stop", "-t", "0", "one").code == 0


def test_a_container_whose_monitor_was_killed_has_ended_with_137(pen: Shop) -> None:
    pen.run("run", "-d", "--name", "one", "--restart", "always", "box", "sleep", "1000")
    pid = json.loads(pen.run("inspect", "one").out)[0]["State"]["Pid"]
    for monitor in monitors(pen.store.root):
        os.kill(int(monitor), signal.SIGKILL)
    until(lambda: not Path(f"/proc/{pid}").exists())
    until(lambda: not monitors(pen.store.root))
    state = json.loads(pen.run("inspect", "one").out)[0]["State"]
    assert (state["Status"], state["ExitCode"], state["Error"]) == ("exited", 137, "monitor lost")
    assert "Exited (137)" in pen.run("ps", "-a").out
    assert pen.run("start", "one").code == 0
    assert pen.run("ps", "--format", "{{.Names}}").out == "one\n"


def test_one_that_ran_when_the_host_went_down_has_exited_with_255(pen: Shop) -> None:
    identity = pen.run(
        "run", "-d", "--name", "one", "box", "sh", "-c", "test -f /kept || echo kept > /kept; sleep 1000"
    ).out.strip()
    until(lambda: pen.run("exec", "one", "cat", "/kept").out == "kept\n")
    pen.run("kill", "one")
    directory = pen.store.root / "containers" / identity
    until(lambda: not monitors(pen.store.root))
    state = json.loads((directory / "state.json").read_text()) | {"Status": "running", "Boot": "another", "Pid": 1}
    (directory / "state.json").write_text(json.dumps(state))
    assert "Exited (255)" in pen.run("ps", "-a").out
    for path in (pen.store.root / "snapshots").glob("sha256-*/boot"):
        path.write_text("another")
    assert pen.run("prune", "-a", "-f").code == 0
    assert pen.run("rmi", "-f", "box").code == 0
    assert pen.run("start", "one").code == 0
    assert pen.run("exec", "one", "cat", "/kept", "/etc/motd").out == "kept\nwelcome\n"


def test_a_start_that_is_refused_leaves_no_control_group(pen: Shop) -> None:
    identity = pen.run("create", "--name", "one", "-v", "data:/d", "box", "true").out.strip()
    shutil.rmtree(pen.store.root / "volumes" / "data")
    assert pen.run("start", "one").code == 1
    assert [directory for directory in groups() if (directory / identity).exists()] == []


@pytest.mark.parametrize("command", [("stop", "-t", "1"), ("rm", "-f")])
def test_several_containers_are_stopped_at_the_same_time(pen: Shop, command: tuple[str, ...]) -> None:
    names = ("one", "two", "three")
    for name in names:
        pen.run("run", "-d", "--name", name, "box", "sleep", "1000")
    begin = time.time()
    all_wait = Barrier(len(names), timeout=60)
    with mock.patch.object(lifecycle, "_await_release", side_effect=lambda _: all_wait.wait()):
        stopped = pen.run(*command, *names, "nope")
    assert (stopped.lines, stopped.err.count("nope")) == ([*names], 1)
    told = pen.run(
        "events", "--since", str(begin), "--until", "0s", "--filter", "event=die", "--format", "{{.Actor.ID}}"
    )
    assert len(set(told.lines)) == len(names)
