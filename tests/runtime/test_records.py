"""Plain records and their form on the wire."""

import errno
import inspect
import os
from collections.abc import Iterator

import pytest

from pybuild.runtime.errors import SandboxError
from pybuild.runtime.monitor import settings
from pybuild.runtime.records import Operation, Record, decode, encode, memory_file
from pybuild.runtime.sandbox.inside import plan, process
from pybuild.runtime.sandbox.inside.mounts import BindRoot, FileMount
from pybuild.runtime.sandbox.inside.root import DirectoryRoot, OverlayRoot


def same(one: object, other: object) -> bool:
    if isinstance(one, Record):
        return type(one) is type(other) and all(same(getattr(one, n), getattr(other, n)) for n in one.__slots__)
    return one == other


@pytest.mark.parametrize(
    "record",
    [
        FileMount(b"\0\xff" * 70000, 2, 0o400, b"/run/s", 1),
        BindRoot(True, OverlayRoot((b"/a", b"/b"), b"/u", True, b"/w"), b"/", b"/m"),
        BindRoot(False, DirectoryRoot(b"/caf\xc3\xa9\xff", False), b"/", b"/m"),
        OverlayRoot((), b"", False, b""),
    ],
)
def test_a_record_comes_back_as_it_was_sent(record: Record) -> None:
    assert same(decode(encode(record)), record)


def kinds(kind: type[Record] = Record) -> Iterator[type[Record]]:
    for each in kind.__subclasses__():
        yield each
        yield from kinds(each)


def test_a_constructor_takes_the_slots_in_their_order() -> None:
    """The wire has no names, so two swapped slots of one type would go unnoticed by the type checker."""
    found = list(kinds())
    assert {plan.SandboxPlan, process.Process, settings.MonitorSettings, settings.InsideCommand} <= set(found)
    for kind in found:
        assert tuple(inspect.signature(kind).parameters) == tuple(kind.__slots__), kind


def test_what_is_no_record_is_refused() -> None:
    import marshal

    with pytest.raises(TypeError):
        decode(marshal.dumps((b"a", 1)))
    with pytest.raises(KeyError):
        decode(marshal.dumps(("NoSuchRecord", 1)))


def test_an_os_error_becomes_one_that_says_what_was_being_done_and_keeps_its_words() -> None:
    with (
        pytest.raises(SandboxError, match=r"^mount tmpfs /x\udcff: no space$") as caught,
        Operation("mount tmpfs", b"/x\xff"),
    ):
        raise OSError(errno.ENOSPC, "no space")
    assert caught.value.errno == errno.ENOSPC
    with pytest.raises(ZeroDivisionError), Operation("anything"):
        raise ZeroDivisionError


def test_a_record_in_memory_is_read_by_its_descriptor_which_no_program_inherits() -> None:
    record = DirectoryRoot(b"/a", True)
    fd = memory_file(encode(record))
    try:
        assert not os.get_inheritable(fd)
        assert same(plan.read_record(fd), record)
    finally:
        os.close(fd)
