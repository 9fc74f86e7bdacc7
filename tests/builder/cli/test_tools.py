"""The session of a command, printing, and reading standard input."""

import os
import sys
from contextvars import copy_context
from io import BytesIO, TextIOWrapper

import click
import pytest

from pybuild.builder.cli.tools import (
    Tools,
    begin,
    is_terminal,
    note,
    open_stdin,
    pass_on,
    put,
    put_error,
    say,
    session,
    warn,
)


def test_results_and_notes_cannot_control_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    say("red \x1b[31m")
    note("note \x07")
    warn("careful \x1b]0;x\x07")
    printed = capsys.readouterr()
    assert not {"\x1b", "\x07"} & set(printed.out + printed.err)
    assert printed.out.startswith("red")
    assert printed.err.splitlines()[1].startswith("WARNING: careful")


def test_bytes_and_texts_keep_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = BytesIO()
    monkeypatch.setattr(sys, "stdout", TextIOWrapper(raw, encoding="utf-8"))
    put("one ")
    put(b"\xff two ")
    put("three")
    assert raw.getvalue() == b"one \xff two three"


def test_output_of_a_container_stays_on_its_stream(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    pass_on(1, b"out\xff\x1b")
    pass_on(2, b"err\xff")
    assert capfdbinary.readouterr() == (b"out\xff\x1b", b"err\xff")


def test_an_error_is_written_as_it_stands(capsys: pytest.CaptureFixture[str]) -> None:
    put_error("as it stands")
    assert capsys.readouterr().err == "as it stands"


def test_a_terminal_is_no_archive(monkeypatch: pytest.MonkeyPatch) -> None:
    leader, follower = os.openpty()
    kept = os.dup(0)
    try:
        os.dup2(follower, 0)
        assert is_terminal(0)
        with pytest.raises(click.UsageError, match="standard input is a terminal"):
            open_stdin()
    finally:
        os.dup2(kept, 0)
        for fd in (leader, follower, kept):
            os.close(fd)


def test_standard_input_is_read_as_bytes_and_stays_open() -> None:
    reader, writer = os.pipe()
    kept = os.dup(0)
    try:
        os.write(writer, b"\xff\x00")
        os.close(writer)
        os.dup2(reader, 0)
        with open_stdin() as file:
            assert file.read() == b"\xff\x00"
        os.fstat(0)
    finally:
        os.dup2(kept, 0)
        os.close(reader)
        os.close(kept)


def test_a_closed_stream_is_no_terminal() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    os.close(writer)
    assert not is_terminal(reader)


def test_a_session_has_neither_a_store_nor_replacements_at_first() -> None:
    begun = begin(Tools())
    assert session() is begun
    assert (begun.root, begun.opened, begun.tools.open_store, begun.tools.build) == (None, None, None, None)


def test_a_second_command_does_not_inherit_the_store_of_the_first() -> None:
    begin(Tools()).root = "/one"
    assert begin(Tools()).root is None


def test_a_session_that_begins_in_another_context_leaves_this_one_alone() -> None:
    mine = begin(Tools())
    copy_context().run(begin, Tools())
    assert session() is mine
