import re
import threading
import time

from tests.builder.cli.commands.container.conftest import until
from tests.builder.cli.conftest import Shop


def test_streams_tails_and_times(pen: Shop) -> None:
    pen.run("run", "--name", "one", "box", "sh", "-c", "for i in 1 2 3; do echo $i; done; echo err >&2; printf end")
    result = pen.run("logs", "one")
    assert (result.out, result.err) == ("1\n2\n3\nend", "err\n")
    assert pen.run("logs", "-n", "2", "one").out.split()[-1] == "end"
    assert pen.run("logs", "--tail", "0", "one").out == ""
    assert pen.run("logs", "--since", "1m", "one").out == "1\n2\n3\nend"
    assert pen.run("logs", "--until", "1m", "one").out == ""
    assert all(
        re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z (\d|end)", line)
        for line in pen.run("logs", "-t", "one").lines
    )
    assert pen.run("logs", "--tail", str(2**63 - 1), "one").out == "1\n2\n3\nend"
    for wrong in ("x", "1" * 5000):
        assert pen.run("logs", "--tail", wrong, "one").code == 1


def test_following_ends_with_the_container(pen: Shop) -> None:
    pen.run("run", "-d", "--name", "one", "box", "sh", "-c", "echo a; sleep 0.5; echo b")
    assert pen.run("logs", "-f", "one").out == "a\nb\n"


def test_files_take_turns_while_one_follows(pen: Shop) -> None:
    script = "i=0; while [ $i -lt 400 ]; do echo line $i; i=$((i+1)); [ $((i % 20)) = 0 ] && sleep 0.02; done"
    options = ("--log-opt", "max-size=4k", "--log-opt", "max-file=3")
    pen.run("run", "-d", "--name", "one", *options, "box", "sh", "-c", script)
    found: list[str] = []
    thread = threading.Thread(target=lambda: found.extend(pen.run("logs", "-f", "one").lines))
    time.sleep(0)
    thread.start()
    thread.join(30)
    assert found[-1] == "line 399"
    numbers = [int(line.split()[1]) for line in found]
    assert numbers == sorted(numbers)
    until(lambda: pen.run("ps", "-q").out == "")
    kept = pen.run("logs", "one").lines
    assert kept == [f"line {number}" for number in range(400 - len(kept), 400)]


def test_without_a_log_there_is_none_to_read(pen: Shop) -> None:
    shown = pen.run("run", "--name", "one", "--log-driver", "none", "box", "echo", "x")
    assert shown.out == "x\n"
    refused = pen.run("logs", "one")
    assert (refused.code, refused.err) == (1, "ERROR: configured logging driver does not support reading\n")
