import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pybuild.runtime.ownership import record
from pybuild.runtime.ownership.record import ATTRIBUTE, FileOwner
from tests.runtime.supervisor.supervised import supervised


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "file"
    path.touch()
    record.write(str(path), FileOwner(12, 13))
    os.setxattr(path, "user.other", b"value")
    return str(path)


def test_the_record_is_in_no_list(file: str) -> None:
    def lists() -> list[list[str]]:
        return [os.listxattr(file), os.listxattr(os.open(file, os.O_RDONLY)), os.listxattr(file, follow_symlinks=False)]

    assert supervised(lists) == [["user.other"]] * 3


@pytest.mark.parametrize(
    ("call", "number"),
    [
        (lambda file: os.getxattr(file, ATTRIBUTE), errno.ENODATA),
        (lambda file: os.removexattr(file, ATTRIBUTE), errno.ENODATA),
        (lambda file: os.setxattr(file, ATTRIBUTE, b"1:1"), errno.EPERM),
    ],
)
def test_the_record_can_be_neither_read_nor_changed(file: str, call: Callable[[str], object], number: int) -> None:
    with pytest.raises(OSError) as raised:
        supervised(lambda: call(file))
    assert raised.value.errno == number
    assert record.read(file) == FileOwner(12, 13)


def test_other_attributes_are_the_kernels(file: str) -> None:
    def change() -> list[object]:
        os.setxattr(file, "user.new", b"1")
        os.removexattr(file, "user.other")
        return [os.getxattr(file, "user.new"), os.listxattr(file)]

    assert supervised(change) == [b"1", ["user.new"]]
