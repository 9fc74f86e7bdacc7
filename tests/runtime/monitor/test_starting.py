import socket

import pytest

from pybuild.runtime.monitor import messages
from pybuild.runtime.monitor.starting import NoMonitor, Refused, await_start, begin_monitor, received


def test_what_a_monitor_said_before_it_ended_is_heard() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours:
        ours.send(messages.ATTACH)
        theirs.send(messages.REFUSED + b"127 no such program")
        theirs.close()  # the request above was never read
        with pytest.raises(Refused, match="no such program") as refused:
            await_start(ours)
        assert refused.value.code == 127
        assert received(ours) == b""
        with pytest.raises(NoMonitor):
            await_start(ours)


def test_a_monitor_that_gets_no_order_ends() -> None:
    with begin_monitor() as begun:
        begun.shutdown(socket.SHUT_WR)
        assert begun.recv(1) == b""
