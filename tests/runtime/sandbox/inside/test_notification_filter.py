import struct

import pytest

from pybuild.runtime.errors import SandboxUnavailable
from pybuild.runtime.sandbox.inside.notification_filter import CALLS, EXECUTING, KEEPING, notifying
from pybuild.runtime.sandbox.inside.seccomp import ALLOW, AUDIT_ARCH_I386, AUDIT_ARCH_X86_64, ENOSYS, Instruction
from pybuild.runtime.sandbox.inside.seccomp_tables import X86_64
from tests.runtime.sandbox.inside.test_seccomp import interpret

NOTIFY, DONE = 0x7FC00000, 0x00050000
_CREAT = 0x40


def _verdict(name: str, *arguments: int, keeping: bool = False, arch: int = AUDIT_ARCH_X86_64) -> int:
    program = notifying("x86_64", keeping=keeping)[0]
    steps = [struct.unpack_from("=HBBI", program, at) for at in range(0, len(program), 8)]
    code = tuple(Instruction(each, k, jt, jf) for each, jt, jf, k in steps)
    return interpret(code, X86_64.get(name, 5000), arch, (*arguments, *(0,) * 6)[:6])


@pytest.mark.parametrize("name", sorted(CALLS - {"open", "openat", "prctl"}))
def test_calls_are_passed_on_whatever_their_arguments(name: str) -> None:
    assert _verdict(name) == _verdict(name, *(2**64 - 1,) * 6) == NOTIFY


@pytest.mark.parametrize("name", sorted(EXECUTING))
def test_programs_set_ids_unless_there_are_no_new_privileges(name: str) -> None:
    numbers = [dict(notifying("x86_64", executing=executing)[1]).get(X86_64[name]) for executing in (True, False)]
    assert (_verdict(name), numbers) == (NOTIFY, [name.encode(), None])


@pytest.mark.parametrize("name", sorted(KEEPING))
def test_calls_that_matter_to_links_are_passed_on_where_there_are_any(name: str) -> None:
    assert (_verdict(name), _verdict(name, keeping=True)) == (ALLOW, NOTIFY)


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("open", (0, 0), ALLOW),
        ("open", (0, _CREAT | 1), NOTIFY),
        ("openat", (0, 0, 0x80000), ALLOW),
        ("openat", (0, 0, _CREAT), NOTIFY),
        ("rt_sigaction", (17, 0, 1), ALLOW),
        ("rt_sigaction", (17, 1, 0), NOTIFY),
        ("prctl", (8, 1), NOTIFY),
        ("prctl", (22,), ALLOW),
        ("setrlimit", (10, 1), DONE),
        ("setrlimit", (7, 1), ALLOW),
        ("prlimit64", (0, 10, 1), DONE),
        ("prlimit64", (0, 10, 0), ALLOW),
        ("prlimit64", (0, 7, 1), ALLOW),
        ("getxattrat", (), ENOSYS),
        ("no call", (), ENOSYS),
        ("read", (), ALLOW),
    ],
)
def test_the_arguments_decide_of_some(name: str, arguments: tuple[int, ...], expected: int) -> None:
    assert _verdict(name, *arguments) == expected


def test_another_instruction_set_has_no_calls() -> None:
    assert {_verdict(name, arch=AUDIT_ARCH_I386) for name in X86_64} == {ENOSYS}


def test_a_machine_without_a_table_is_refused() -> None:
    with pytest.raises(SandboxUnavailable, match="vax"):
        notifying("vax")
