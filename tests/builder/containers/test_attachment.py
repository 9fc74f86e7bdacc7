import os
import pty
import socket
import subprocess
import sys
import textwrap

import pytest

from pybuild.builder.containers.attachment import Attachment, parse_keys
from pybuild.builder.errors import RequestError
from pybuild.runtime.monitor import messages


def test_keys_are_letters_and_controls() -> None:
    assert parse_keys("ctrl-p,ctrl-q") == b"\x10\x11"
    assert parse_keys("ctrl-],x") == b"\x1dx"
    assert parse_keys("") == b""
    for wrong in ("ctrl-", "ab", "ctrl-1", "é"):
        with pytest.raises(RequestError, match="invalid detach keys"):
            parse_keys(wrong)


def test_output_goes_to_its_stream_and_the_end_has_a_code() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    shown: list[tuple[int, bytes]] = []
    with ours, theirs:
        for message in (messages.OUT + b"a", messages.ERR + b"b", messages.DONE, messages.ENDED + b"137"):
            theirs.send(message)
        with Attachment(ours, lambda *piece: shown.append(piece), typed=False, terminal=False) as it:
            assert it.pump() == 137
        assert shown == [(1, b"a"), (2, b"b")]
        theirs.close()
        with pytest.raises(ConnectionError):
            Attachment(ours, lambda *_: None, typed=False, terminal=False).pump()


def test_output_of_a_monitor_that_has_ended_is_shown_to_its_end() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    shown: list[bytes] = []
    with ours:
        ours.send(messages.SIZE + b"1 1")
        for message in (messages.OUT + b"a", messages.OUT + b"b", messages.ENDED + b"3"):
            theirs.send(message)
        theirs.close()
        assert Attachment(ours, lambda _, data: shown.append(data), typed=False, terminal=False).pump() == 3
    assert shown == [b"a", b"b"]


_TYPING = """
import os, socket, sys
from pybuild.builder.containers.attachment import Attachment
channel = socket.socket(fileno=int(sys.argv[1]))
with Attachment(channel, lambda *_: None, typed=True, terminal=True) as it:
    print("ready", flush=True)
    sys.exit(7 if it.pump() is None else 0)
"""


def test_keys_detach_and_what_only_begins_like_them_is_typed() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    master, terminal = pty.openpty()
    command = [sys.executable, "-c", textwrap.dedent(_TYPING), str(theirs.fileno())]
    with subprocess.Popen(command, stdin=terminal, stdout=subprocess.PIPE, pass_fds=[theirs.fileno()]) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        typed = b""
        for keys in (b"\x10x", b"\x03", b"\x10"):
            os.write(master, keys)
        while typed != b"\x10x\x03":
            message = ours.recv(1000)
            typed += message[1:] if message[:1] == messages.INPUT else b""
        os.write(master, b"\x11")
        assert child.wait(20) == 7
    for fd in (master, terminal):
        os.close(fd)
    ours.close()
    theirs.close()
