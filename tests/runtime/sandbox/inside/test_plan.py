"""The status pipe: what the child writes is what the builder reads."""

import os
from collections.abc import Callable

import pytest

from pybuild.runtime.errors import SandboxError
from pybuild.runtime.sandbox.inside.plan import Status, read_reports


def reported(work: Callable[[Status], None]) -> list[tuple[str, str, str, int, str]]:
    end, start = os.pipe()
    child = os.fork()
    if child == 0:
        with Status(start) as status:
            work(status)
    os.close(start)
    with open(end, "rb") as pipe:
        reports = read_reports(pipe.read())
    assert os.waitpid(child, 0)[1] == 0
    return [(each.kind, each.subject, each.path, each.errno, each.message) for each in reports]


def test_an_error_is_reported_with_its_parts_and_ends_the_process() -> None:
    def work(_: Status) -> None:
        raise SandboxError("mount tmpfs on", "/with\udcffbyte and\nline", 13, "")

    assert reported(work) == [
        (
            "failed",
            "mount tmpfs on",
            "/with\udcffbyte and\nline",
            13,
            "mount tmpfs on /with\udcffbyte and\nline: Permission denied",
        )
    ]


def test_a_fault_of_the_child_is_reported_without_a_traceback(capfd: pytest.CaptureFixture[str]) -> None:
    def work(_: Status) -> None:
        raise KeyError("a\0b")

    assert reported(work) == [("crashed", "KeyError", "", 0, "'a\\x00b'")]
    assert capfd.readouterr() == ("", "")


def test_a_failed_call_that_has_no_name_is_reported_without_its_number() -> None:
    def work(_: Status) -> None:
        raise OSError(24, "Too many open files", b"/with\xffbyte")

    path = "/with\udcffbyte"
    assert reported(work) == [
        ("failed", "prepare the sandbox", path, 24, f"prepare the sandbox {path}: Too many open files")
    ]


def test_a_failure_without_a_number_keeps_its_words() -> None:
    def work(_: Status) -> None:
        raise OSError("cannot do it")

    assert reported(work) == [("failed", "prepare the sandbox", "", 5, "prepare the sandbox: cannot do it")]


@pytest.mark.parametrize(("wait_status", "subject"), [(0, "0"), (3 << 8, "3"), (9, "-9")])
def test_the_end_of_the_process_is_reported_as_code_or_signal(wait_status: int, subject: str) -> None:
    assert reported(lambda status: status.report_end(wait_status)) == [("ended", subject, "", 0, "")]


def test_half_a_message_is_no_message() -> None:
    whole = b"".join(field + b"\0" for field in (b"ended", b"7", b"", b"0", b""))
    assert read_reports(b"") == []
    assert [read_reports(whole[:size]) for size in range(len(whole))] == [[]] * len(whole)
    assert [each.subject for each in read_reports(whole + whole[:9])] == ["7"]
