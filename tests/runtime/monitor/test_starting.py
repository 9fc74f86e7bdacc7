import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from pybuild.runtime.monitor import messages, starting
from pybuild.runtime.monitor.starting import NoMonitor, Refused, await_start, receive, spawn_monitor_process


def test_what_a_monitor_said_before_it_ended_is_heard() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours:
        ours.send(messages.ATTACH)
        theirs.send(messages.REFUSED + b"127 no such program")
        theirs.close()  # the request above was never read
        with pytest.raises(Refused, match="no such program") as refused:
            await_start(ours)
        assert refused.value.code == 127
        assert receive(ours) == b""
        with pytest.raises(NoMonitor):
            await_start(ours)


def test_a_monitor_that_gets_no_order_ends() -> None:
    with spawn_monitor_process() as begun:
        begun.shutdown(socket.SHUT_WR)
        assert begun.recv(1) == b""


def test_a_monitor_imports_nothing_that_takes_memory_in_each_of_its_processes() -> None:
    code = "import sys; sys.path.append(sys.argv[1]); import pybuild.runtime.monitor.monitor; print(*sys.modules)"
    place = os.fspath(Path(starting.__file__).parents[3])
    loaded = subprocess.run([sys.executable, "-I", "-S", "-c", code, place], capture_output=True, text=True, check=True)
    assert {"collections", "functools", "json", "re", "socket", "pathlib"}.isdisjoint(loaded.stdout.split())
