import ctypes
import os
import random
import struct
from pathlib import Path
from unittest.mock import Mock

import pytest

from pybuild.runtime.kernel.syscalls import openat2
from pybuild.runtime.sandbox.inside.notification_filter import CALLS, EXECUTING, HANDLING, KEEPING, notifying
from pybuild.runtime.supervisor.listener import Listener
from pybuild.runtime.supervisor.supervisor import Supervisor
from tests.runtime.supervisor.supervised import supervised, supervision

_SEED = 20261


def test_each_call_that_comes_has_an_answer() -> None:
    reader, writer = os.pipe()
    try:
        Supervisor(Listener(reader), supervision(special=((1, 1, 1, 1),)), "x86_64")
    finally:
        os.close(reader)
        os.close(writer)
    names = {name.decode() for _, name in notifying("x86_64", keeping=True)[1]}
    assert names == CALLS | KEEPING | EXECUTING | HANDLING


@pytest.mark.parametrize(
    ("name", "arguments", "at"),
    [
        ("rename", (8, 9), (-100, 8, 0x100)),
        ("renameat2", (3, 8, 4, 9), (3, 8, 0x100)),
        ("linkat", (3, 8, 4, 9, 0), (3, 8, 0x100)),
        ("linkat", (3, 8, 4, 9, 0x400), (3, 8, 0)),
        ("linkat", (3, 8, 4, 9, 0x1000), (3, 8, 0x1100)),
        ("chmod", (8, 0o600), (-100, 8, 0)),
        ("fchmod", (3, 0o600), (3, 0, 0x1000)),
        ("fchmodat", (3, 8, 0o600, 0x100), (3, 8, 0)),
        ("fchmodat2", (3, 8, 0o600, 0x100), (3, 8, 0x100)),
        ("utimes", (8, 0), (-100, 8, 0)),
        ("futimesat", (3, 8, 0), (3, 8, 0)),
        ("utimensat", (3, 8, 0, 0x100), (3, 8, 0x100)),
        ("utimensat", (3, 0, 0, 0), (3, 0, 0x1000)),
    ],
)
def test_a_call_that_copies_a_file_up_names_it(name: str, arguments: tuple[int, ...], at: tuple[int, int, int]) -> None:
    how = supervision(special=((1, 1, 1, 1),))
    reader, writer = os.pipe()
    try:
        supervisor = Supervisor(Listener(reader), how, "x86_64")
    finally:
        os.close(reader)
        os.close(writer)
    named = []
    supervisor.files.keep_owner = lambda _, at: named.append(at)  # type: ignore[method-assign]
    (number,) = (number for number, each in how.calls if each == name.encode())
    supervisor._handlers_by_number[number](Mock(), (*arguments, *(0,) * 6)[:6])
    assert named == [at]


def test_any_arguments_end_the_call_and_not_the_supervisor(tmp_path: Path) -> None:
    """Random numbers and addresses, for every call that is answered; the seed is fixed."""
    numbers = [number for number, name in notifying(os.uname().machine)[1] if not name.startswith((b"set", b"exec"))]

    def call() -> tuple[int, int]:
        os.chdir(tmp_path)
        libc, chance = ctypes.CDLL(None, use_errno=True), random.Random(_SEED)
        memory = ctypes.create_string_buffer(1 << 16)
        values = (0, 1, 3, 8, 1 << 31, (1 << 63) - 1, (1 << 64) - 1, (1 << 64) - 100, 0x100, 0x1000, 0o100)
        for _ in range(3000):
            arguments = [
                ctypes.addressof(memory) + chance.randrange(1 << 15) if chance.random() < 0.5 else chance.choice(values)
                for _ in range(6)
            ]
            memory[: 1 << 12] = chance.randbytes(1 << 12)
            libc.syscall(ctypes.c_long(chance.choice(numbers)), *map(ctypes.c_ulong, arguments))
        os.chown(tmp_path, 8, 9)
        return os.stat(tmp_path).st_uid, os.getuid()

    assert supervised(call) == (8, 0)


def test_openat2_creates_for_a_user_but_not_under_rules_of_its_own(tmp_path: Path) -> None:
    def make() -> tuple[int, int | None]:
        os.setuid(1000)
        os.close(openat2(-100, os.fsencode(tmp_path / "file"), os.O_CREAT | os.O_WRONLY, 0o600))
        try:
            openat2(os.open(tmp_path, os.O_PATH), b"other", os.O_CREAT | os.O_WRONLY, 0o600, 0x10)
        except OSError as error:
            return os.stat(tmp_path / "file").st_uid, error.errno
        return 0, None

    assert supervised(make) == (1000, 38)


def test_the_machine_has_another_instruction_set_without_calls() -> None:
    """The filter is asked by hand: not every kernel runs programs for i386."""
    program, _ = notifying("x86_64")
    load, check, refuse = (struct.unpack_from("=HBBI", program, 8 * place) for place in range(3))
    assert load == (0x20, 0, 0, 4)
    assert check == (0x15, 1, 0, 0xC000003E)
    assert refuse == (0x06, 0, 0, 0x00050026)
