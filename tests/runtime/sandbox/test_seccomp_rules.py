"""Profiles of a user against their rules, by a BPF interpreter; `test_confinement.py` asks the kernel."""

import json
import operator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybuild.runtime.kernel.capabilities import DEFAULT, mask
from pybuild.runtime.sandbox.inside.seccomp import (
    ALLOW,
    AUDIT_ARCH_AARCH64,
    AUDIT_ARCH_I386,
    AUDIT_ARCH_X86_64,
    ENOSYS,
    EPERM,
    KILL_PROCESS,
    Instruction,
)
from pybuild.runtime.sandbox.inside.seccomp_tables import AARCH64, I386, X86_64
from pybuild.runtime.sandbox.seccomp_profile import InvalidProfile, parse_profile
from pybuild.runtime.sandbox.seccomp_rules import compile_profile, profile_code

TABLES = {
    "x86_64": (AUDIT_ARCH_X86_64, X86_64),
    "i386": (AUDIT_ARCH_I386, I386),
    "aarch64": (AUDIT_ARCH_AARCH64, AARCH64),
}
COMPARED = {
    "SCMP_CMP_EQ": operator.eq,
    "SCMP_CMP_NE": operator.ne,
    "SCMP_CMP_LT": operator.lt,
    "SCMP_CMP_LE": operator.le,
    "SCMP_CMP_GT": operator.gt,
    "SCMP_CMP_GE": operator.ge,
}
_JUMPS = {0x15: operator.eq, 0x25: operator.gt, 0x35: operator.ge, 0x45: operator.and_}


def interpret(program: tuple[Instruction, ...], number: int, arch: int, arguments: tuple[int, ...]) -> int:
    """Run a filter as the kernel does."""
    data = number.to_bytes(4, "little") + arch.to_bytes(4, "little") + bytes(8)
    data += b"".join(argument.to_bytes(8, "little") for argument in (*arguments, *[0] * (6 - len(arguments))))
    at = accumulator = 0
    while True:
        step = program[at]
        at += 1
        if step.code == 0x20:
            accumulator = int.from_bytes(data[step.k : step.k + 4], "little")
        elif step.code == 0x06:
            return step.k
        elif step.code == 0x05:
            at += step.k
        elif step.code == 0x54:
            accumulator &= step.k
        else:
            at += step.jt if _JUMPS[step.code](accumulator, step.k) else step.jf


def verdict(
    document: Any, name: str, *arguments: int, caps: int = DEFAULT, machine: str = "x86_64", release: str = "6.1"
) -> int:
    code = profile_code(
        parse_profile(json.dumps(document)), caps, "aarch64" if machine == "aarch64" else "x86_64", release
    )
    arch, table = TABLES[machine]
    return interpret(code, table[name], arch, arguments)


def profile(*rules: dict[str, object], default: str = "SCMP_ACT_ERRNO", **members: object) -> dict[str, object]:
    return {"defaultAction": default, "syscalls": list(rules), **members}


def rule(*names: str, action: str = "SCMP_ACT_ALLOW", **members: object) -> dict[str, object]:
    return {"names": list(names), "action": action, **members}


def test_names_get_their_action_and_others_the_default() -> None:
    given = profile(rule("read", "no_such_call"), rule("mkdir", action="SCMP_ACT_ERRNO", errnoRet=13))
    assert verdict(given, "read") == ALLOW
    assert verdict(given, "mkdir") == 0x0005000D
    assert verdict(given, "getpid") == EPERM
    assert (
        verdict(profile(rule("read", action="SCMP_ACT_KILL_PROCESS"), default="SCMP_ACT_ALLOW"), "read") == KILL_PROCESS
    )
    assert verdict(profile({"name": "read", "action": "SCMP_ACT_LOG"}), "read") == 0x7FFC0000


def test_what_is_newer_than_the_profile_is_not_there() -> None:
    given = profile(rule("read", "clone3"))
    assert verdict(given, "fchmodat2") == ENOSYS
    assert verdict(given, "openat") == EPERM
    assert verdict(profile(rule("read", action="SCMP_ACT_ERRNO"), default="SCMP_ACT_ALLOW"), "fchmodat2") == ALLOW


def test_a_rule_without_conditions_counts_before_those_with() -> None:
    condition = {"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}
    given = profile(rule("kill", action="SCMP_ACT_TRAP", args=[condition]), rule("kill"))
    assert verdict(given, "kill", 1) == ALLOW


def test_conditions_on_one_argument_are_alternatives_and_others_all_hold() -> None:
    one, two = ({"index": 0, "value": value, "op": "SCMP_CMP_EQ"} for value in (1, 2))
    other = {"index": 1, "value": 5, "op": "SCMP_CMP_EQ"}
    assert [verdict(profile(rule("kill", args=[one, two])), "kill", n) for n in (0, 1, 2)] == [EPERM, ALLOW, ALLOW]
    both = profile(rule("kill", args=[one, other]))
    assert [verdict(both, "kill", *each) for each in ((1, 5), (1, 4), (2, 5))] == [ALLOW, EPERM, EPERM]


VALUES = st.one_of(
    st.integers(0, (1 << 64) - 1), st.sampled_from([0, 1, (1 << 32) - 1, 1 << 32, (1 << 32) + 1, (1 << 64) - 1])
)


@given(st.sampled_from(sorted(COMPARED)), VALUES, VALUES, st.integers(0, 5))
def test_all_64_bits_are_compared(name: str, value: int, argument: int, index: int) -> None:
    given = profile(rule("kill", args=[{"index": index, "value": value, "op": name}]))
    arguments = [0] * 6
    arguments[index] = argument
    assert (verdict(given, "kill", *arguments) == ALLOW) == COMPARED[name](argument, value)


@pytest.mark.parametrize("name", sorted(COMPARED))
def test_neither_half_is_left_out(name: str) -> None:
    corners = (0, 1, (1 << 32) - 1, 1 << 32, (1 << 32) + 1, (2 << 32) + 1, (1 << 64) - 1)
    for value in corners:
        document = profile(rule("kill", args=[{"index": 2, "value": value, "op": name}]))
        for argument in corners:
            assert (verdict(document, "kill", 0, 0, argument) == ALLOW) == COMPARED[name](argument, value)


@given(VALUES, VALUES, VALUES)
def test_a_mask_is_laid_on_first(bits: int, wanted: int, argument: int) -> None:
    given = profile(rule("kill", args=[{"index": 0, "value": bits, "valueTwo": wanted, "op": "SCMP_CMP_MASKED_EQ"}]))
    assert (verdict(given, "kill", argument) == ALLOW) == (argument & bits == wanted)


def test_circumstances() -> None:
    held = DEFAULT | mask("SYS_ADMIN")
    given = profile(
        rule("mount", includes={"caps": ["CAP_SYS_ADMIN"]}),
        rule("clone", excludes={"caps": ["CAP_SYS_ADMIN"]}),
        rule("ptrace", includes={"minKernel": "4.8"}),
        rule("arch_prctl", includes={"arches": ["amd64", "x32"]}),
        rule("modify_ldt", includes={"arches": ["s390x"]}),
        rule("fchmodat2"),
    )
    assert [verdict(given, "mount", caps=caps) for caps in (DEFAULT, held)] == [EPERM, ALLOW]
    assert [verdict(given, "clone", caps=caps) for caps in (DEFAULT, held)] == [ALLOW, EPERM]
    assert [verdict(given, "ptrace", release=each) for each in ("4.7.9", "4.8.0-1", "10.0")] == [EPERM, ALLOW, ALLOW]
    assert (verdict(given, "arch_prctl"), verdict(given, "modify_ldt")) == (ALLOW, EPERM)


def test_other_architectures_are_there_when_the_profile_names_them() -> None:
    alone = profile(rule("read"), architectures=["SCMP_ARCH_X86_64"])
    mapped = profile(
        rule("read"),
        archMap=[
            {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X32"]},
            {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": ["SCMP_ARCH_ARM"]},
        ],
    )
    assert (verdict(alone, "read"), verdict(alone, "read", machine="i386")) == (ALLOW, KILL_PROCESS)
    assert [verdict(mapped, "read", machine=each) for each in TABLES] == [ALLOW] * 3
    code = profile_code(parse_profile(json.dumps(mapped)), DEFAULT, "x86_64", "6.1")
    assert interpret(code, X86_64["read"] | 0x40000000, AUDIT_ARCH_X86_64, ()) == ENOSYS


def test_a_profile_that_the_kernel_would_not_take_is_refused() -> None:
    conditions = [{"index": 0, "value": value, "op": "SCMP_CMP_EQ"} for value in range(2000)]
    with pytest.raises(InvalidProfile, match="instructions"):
        compile_profile(parse_profile(json.dumps(profile(rule("read", args=conditions)))), DEFAULT, machine="x86_64")
