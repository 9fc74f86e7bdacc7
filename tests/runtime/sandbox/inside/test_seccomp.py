"""The compiled filter against the rules themselves, by a BPF interpreter; test_sandbox.py asks the kernel."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybuild.runtime.errors import SandboxUnavailable
from pybuild.runtime.sandbox.inside import seccomp
from pybuild.runtime.sandbox.inside.seccomp import ALLOW, ENOSYS, EPERM, KILL_PROCESS, Instruction, compile_filter
from pybuild.runtime.sandbox.inside.seccomp_tables import AARCH64, I386, X86_64, Table

X86 = compile_filter("x86_64")
ARM = compile_filter("aarch64")
MACHINES = (
    (X86, seccomp.AUDIT_ARCH_X86_64, X86_64),
    (X86, seccomp.AUDIT_ARCH_I386, I386),
    (ARM, seccomp.AUDIT_ARCH_AARCH64, AARCH64),
)
NAMES = {"clone": (0, "flags"), "personality": (0, ""), "socket": (0, ""), "ioctl": (1, "")}


def interpret(program: tuple[Instruction, ...], number: int, arch: int, arguments: tuple[int, ...]) -> int:
    """Run a filter as the kernel does, without a jump backwards or beyond the end."""
    data = number.to_bytes(4, "little") + arch.to_bytes(4, "little") + bytes(8)
    data += b"".join(argument.to_bytes(8, "little") for argument in arguments)
    at = accumulator = 0
    while True:
        step = program[at]
        at += 1
        match step.code:
            case 0x20:
                accumulator = int.from_bytes(data[step.k : step.k + 4], "little")
            case 0x06:
                return step.k
            case 0x05:
                at += step.k
            case 0x15:
                at += step.jt if accumulator == step.k else step.jf
            case 0x35:
                at += step.jt if accumulator >= step.k else step.jf
            case 0x45:
                at += step.jt if accumulator & step.k else step.jf
            case code:
                raise AssertionError(code)


def expected(table: Table, number: int, arguments: tuple[int, ...]) -> int:
    """The rules, said once more and differently."""
    name = next((name for name, each in table.items() if each == number), "")
    first, second = arguments[0] & 0xFFFFFFFF, arguments[1] & 0xFFFFFFFF
    if name in {"", "clone3"}:
        return ENOSYS
    refused = {
        "clone": bool(first & 0x7E020000),
        "personality": first not in {0, 8, 0x20000, 0x20008, 0xFFFFFFFF},
        "socket": first > 45 or first in {12, 19, 20, 23, 25, 34, 37, 38, 40},
        "ioctl": second in {0x5412, 0x541C},
    }
    return EPERM if refused.get(name, name in seccomp._REFUSED) else ALLOW


@pytest.mark.parametrize("machine", MACHINES, ids=["x86_64", "i386", "aarch64"])
def test_every_number_gets_the_verdict_of_its_rule(machine: tuple[tuple[Instruction, ...], int, Table]) -> None:
    program, arch, table = machine
    samples = (
        0,
        8,
        12,
        13,
        17,
        34,
        38,
        39,
        40,
        45,
        46,
        0x5412,
        0x541C,
        0x10000011,
        0x20000,
        0x40000,
        0x1_0000_0000,
        0x1_0000_5412,
    )
    for number in range(700):
        for value in samples:
            arguments = (value, value, 0, 0, 0, 0)
            assert interpret(program, number, arch, arguments) == expected(table, number, arguments), (number, value)


@given(st.sampled_from(MACHINES), st.integers(0, 0x3FFFFFFF), st.tuples(*[st.integers(0, 2**64 - 1)] * 6))
def test_any_arguments_get_the_verdict_of_the_rule(
    machine: tuple[tuple[Instruction, ...], int, Table], number: int, arguments: tuple[int, ...]
) -> None:
    program, arch, table = machine
    assert interpret(program, number % 700, arch, arguments) == expected(table, number % 700, arguments)
    assert interpret(program, 700 + number, arch, arguments) == ENOSYS


def test_the_x32_table_is_not_there_and_other_machines_are_killed() -> None:
    none = (0,) * 6
    assert interpret(X86, 0x40000000 | 39, seccomp.AUDIT_ARCH_X86_64, none) == ENOSYS
    assert interpret(X86, 39, seccomp.AUDIT_ARCH_AARCH64, none) == KILL_PROCESS
    assert interpret(ARM, 39, seccomp.AUDIT_ARCH_X86_64, none) == KILL_PROCESS


@pytest.mark.parametrize("program", [X86, ARM], ids=["x86_64", "aarch64"])
def test_a_program_is_one_that_the_kernel_takes(program: tuple[Instruction, ...]) -> None:
    assert len(program) < 4096
    assert all(step.jt <= 255 and step.jf <= 255 for step in program)
    assert all(len(step.pack()) == 8 for step in program)


def test_each_refused_name_exists_somewhere() -> None:
    assert set() == seccomp._REFUSED - set(X86_64) - set(I386) - set(AARCH64)
    assert (X86_64["read"], X86_64["file_setattr"], I386["exit"], I386["clone3"], AARCH64["openat"]) == (
        0,
        469,
        1,
        435,
        56,
    )
    assert len(set(X86_64.values())) == len(X86_64)


def test_a_machine_without_a_table_runs_nothing_unfiltered(monkeypatch: pytest.MonkeyPatch) -> None:
    seccomp.default_filter.cache_clear()
    monkeypatch.setattr(seccomp, "MACHINES", {})
    with pytest.raises(SandboxUnavailable, match="no system-call filter for"):
        seccomp.default_filter()
