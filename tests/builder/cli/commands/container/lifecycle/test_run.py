import os
import subprocess
import sys

from tests.builder.cli.commands.container.conftest import LOOP, monitors, until
from tests.builder.cli.conftest import Shop


def test_output_and_code_are_those_of_the_container_which_stays(pen: Shop) -> None:
    result = pen.run("run", "--name", "one", "box", "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (result.code, result.out, result.err) == (7, "out\n", "err\n")
    assert pen.run("ps", "-a", "--format", "{{.Names}} {{.State}}").out == "one exited\n"
    again = pen.run("start", "-a", "one")
    assert (again.code, again.out, again.err) == (7, "out\n", "err\n")
    assert pen.run("logs", "one").out == "out\nout\n"


def test_detached_it_runs_on_and_its_id_is_printed(pen: Shop) -> None:
    started = pen.run("run", "-d", "--name", "one", "box", *LOOP)
    assert (started.code, started.err) == (0, "")
    assert pen.run("ps", "-q", "--no-trunc").out == started.out
    assert len(monitors(pen.store.root)) >= 1


def test_with_rm_nothing_is_left_however_it_ends(pen: Shop) -> None:
    assert pen.run("run", "--rm", "--name", "one", "box", "true").code == 0
    assert pen.run("ps", "-aq").out == ""
    assert pen.run("run", "-d", "--rm", "-v", "/data", "box", "true").code == 0
    until(lambda: pen.run("ps", "-aq").out == "")
    until(lambda: pen.run("volume", "ls", "-q").out == "")
    refused = pen.run("run", "--rm", "--name", "one", "box", "nosuch")
    assert (refused.code, pen.run("ps", "-aq").out) == (127, "")


def test_what_cannot_be_executed_has_dockers_codes(pen: Shop) -> None:
    missing = pen.run("run", "--name", "one", "box", "nosuch")
    assert (missing.code, missing.err) == (127, 'ERROR: exec: "nosuch": executable file not found in $PATH\n')
    assert pen.run("run", "--name", "two", "box", "/etc/passwd").code == 126
    assert pen.run("run", "--name", "three", "-u", "nosuch", "box").code == 125
    assert pen.run("ps", "-a", "--format", "{{.State}}").lines == ["created"] * 3


def test_input_is_passed_on(pen: Shop) -> None:
    command = [
        sys.executable,
        "-m",
        "pybuild",
        "--root",
        str(pen.store.root),
        "run",
        "-i",
        "--name",
        "one",
        "box",
        "cat",
    ]
    environment = {"PATH": os.environ["PATH"]}
    data = b"x" * 300_000 + b"\0\xff\n"
    done = subprocess.run(command, input=data, capture_output=True, check=False, timeout=60, env=environment)
    assert (done.returncode, done.stdout == data, done.stderr) == (0, True, b"")


def test_the_container_has_what_docker_gives_one(pen: Shop) -> None:
    script = (
        "cat /etc/hostname; echo $HOSTNAME $A; cat /proc/1/comm; grep -c localhost /etc/hosts; echo x >> /etc/hosts"
    )
    result = pen.run("run", "--name", "one", "-h", "inner", "--add-host", "db:1.2.3.4", "box", "sh", "-c", script)
    assert result.out == "inner\ninner image\nsh\n2\n"
    assert "1.2.3.4\tdb" in pen.run("run", "--name", "two", "--add-host", "db:1.2.3.4", "box", "cat", "/etc/hosts").out


def test_limits_are_held_and_memory_kills_are_told(pen: Shop) -> None:
    script = "x=$(head -c 200000000 /dev/zero | tr '\\0' y); echo done"
    result = pen.run("run", "--name", "one", "-m", "32m", "box", "sh", "-c", script)
    assert result.code in {137, 2, 1}
    assert result.err.endswith("note: the kernel killed a process: memory is limited to 33554432 bytes\n")
    assert pen.run("inspect", "-f", "{{.State.OOMKilled}} {{.HostConfig.Memory}}", "one").out == "true 33554432\n"


def test_it_is_started_again_as_its_policy_says(pen: Shop) -> None:
    assert (
        pen.run("run", "-d", "--name", "one", "--restart", "on-failure:2", "box", "sh", "-c", "echo x; exit 1").code
        == 0
    )
    assert pen.run("wait", "one").out == "1\n"
    until(lambda: pen.run("inspect", "-f", "{{.State.Status}} {{.RestartCount}}", "one").out == "exited 2\n")
    assert pen.run("logs", "one").out == "x\n" * 3


def test_a_restarting_container_is_stopped_and_removed(pen: Shop) -> None:
    assert pen.run("run", "-d", "--name", "one", "--restart", "always", "box", "true").code == 0
    until(lambda: "restarting" in pen.run("inspect", "-f", "{{.State.Status}}", "one").out)
    assert pen.run("stop", "one").code == 0
    assert pen.run("inspect", "-f", "{{.State.Status}}", "one").out == "exited\n"
    assert pen.run("rm", "one").code == 0
