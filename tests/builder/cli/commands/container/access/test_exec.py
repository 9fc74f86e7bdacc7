import os
import subprocess
import sys

from tests.builder.cli.commands.container.conftest import until
from tests.builder.cli.conftest import Shop


def test_a_command_runs_as_the_container_would(pen: Shop) -> None:
    pen.run("run", "-d", "--name", "one", "-e", "B=run", "-u", "alice", "-w", "/tmp", "box", "sleep", "1000")
    result = pen.run("exec", "-e", "C=exec", "one", "sh", "-c", "echo $A $B $C; id -un; pwd; echo e >&2; exit 9")
    assert (result.code, result.out, result.err) == (9, "image run exec\nalice\n/tmp\n", "e\n")
    assert pen.run("exec", "-u", "0:50", "-w", "/etc", "one", "sh", "-c", "id -u; id -g; pwd").out == "0\n50\n/etc\n"
    assert pen.run("exec", "one", "nosuch").code == 127
    nobody = pen.run("exec", "-u", "nosuch", "one", "true")
    assert (nobody.code, nobody.err) == (1, "ERROR: unable to find user nosuch: no matching entries in passwd file\n")


def test_a_directory_that_is_missing_is_made_by_run_alone(pen: Shop) -> None:
    assert pen.run("run", "-d", "--name", "one", "-w", "/made", "box", "sleep", "1000").code == 0
    for place, why in (("/missing", "no such file or directory"), ("/etc/passwd", "not a directory")):
        result = pen.run("exec", "-w", place, "one", "true")
        assert (result.code, result.err) == (127, f"ERROR: unable to enter working directory {place}: {why}\n")
    assert pen.run("exec", "-w", "/", "one", "ls", "-d", "/made", "/missing").out == "/made\n"


def test_detached_it_runs_on(pen: Shop) -> None:
    pen.run("run", "-d", "--name", "one", "box", "sleep", "1000")
    assert pen.run("exec", "-d", "one", "sh", "-c", "sleep 0.1; echo x > /x").out == ""
    until(lambda: pen.run("exec", "one", "cat", "/x").out == "x\n")


def test_input_is_read(pen: Shop) -> None:
    pen.run("run", "-d", "--name", "one", "box", "sleep", "1000")
    command = [sys.executable, "-m", "pybuild", "--root", str(pen.store.root), "exec", "-i", "one", "wc", "-c"]
    environment = {"PATH": os.environ["PATH"]}
    done = subprocess.run(command, input=b"x" * 200_000, capture_output=True, check=False, timeout=60, env=environment)
    assert (done.returncode, done.stdout) == (0, b"200000\n")


def test_only_a_running_container_has_processes(pen: Shop) -> None:
    pen.run("create", "--name", "one", "box")
    for words in (("exec", "one", "true"), ("top", "one"), ("attach", "one"), ("pause", "one")):
        assert pen.run(*words).code == 1


def test_top_shows_the_processes_of_the_container_alone(pen: Shop) -> None:
    pen.run("run", "-d", "--name", "one", "box", "sh", "-c", "sleep 1001 & sleep 1002; true")
    until(lambda: len(pen.run("top", "one", "-eo", "pid,args").lines) == 4)
    lines = pen.run("top", "one", "-eo", "pid,args").lines
    assert lines[0].split() == ["PID", "COMMAND"]
    assert sorted(line.split(maxsplit=1)[1].strip() for line in lines[1:]) == [
        "sh -c sleep 1001 & sleep 1002; true",
        "sleep 1001",
        "sleep 1002",
    ]


def test_top_tells_of_a_column_with_blanks_before_the_ids(pen: Shop) -> None:
    pen.run("run", "-d", "--name", "one", "box", "sleep", "1000")
    ran = pen.run("top", "one", "-eo", "lstart,pid")
    assert (ran.code, "unexpected PID" in ran.err, "pybuild has a bug" in ran.err) == (1, True, False)
