"""Compiles a seccomp profile to BPF, without libseccomp.

The verdict on a call is decided by the rules with its name. A rule without conditions on arguments takes precedence;
among the others, the first one whose conditions all hold. If there is none, it is the default of the profile.
Conditions compare all 64 bits of an argument, and two on the same argument are alternatives. libseccomp and runc do the
same.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pybuild.runtime.errors import SandboxUnavailable
from pybuild.runtime.kernel.capabilities import mask
from pybuild.runtime.sandbox.inside import seccomp
from pybuild.runtime.sandbox.inside.seccomp import ARGUMENTS_OFFSET, JEQ, JGE, LOAD, Code, Instruction, returning
from pybuild.runtime.sandbox.inside.seccomp_tables import Table
from pybuild.runtime.sandbox.seccomp_profile import ERRNO, CallRule, Condition, InvalidProfile, Profile, kernel_version

_MOST = 4096
"""Instructions that the kernel takes in one filter."""
_ARCHITECTURES = {
    "SCMP_ARCH_X86_64": seccomp.AUDIT_ARCH_X86_64,
    "SCMP_ARCH_X86": seccomp.AUDIT_ARCH_I386,
    "SCMP_ARCH_AARCH64": seccomp.AUDIT_ARCH_AARCH64,
}
_OF_MACHINES = {"x86_64": ("amd64", "SCMP_ARCH_X86_64"), "aarch64": ("arm64", "SCMP_ARCH_AARCH64")}
_JGT, _AND = 0x25, 0x54
_FAIL = -1
"""A jump to the end of a piece, where the next rule begins. `_linked` replaces it by the distance."""


def compile_profile(
    profile: Profile, capabilities: int, *, machine: str | None = None, release: str | None = None
) -> bytes:
    """Return the program for a process with *capabilities*. Raises InvalidProfile, SandboxUnavailable."""
    here = os.uname()
    name = machine or here.machine
    if name not in seccomp.MACHINES:
        raise SandboxUnavailable(f"there are no system-call filters for {name}")
    code = profile_code(profile, capabilities, name, release or here.release)
    if len(code) > _MOST:
        raise InvalidProfile(f"it needs {len(code)} instructions, and the kernel takes {_MOST}")
    return seccomp.packed(code)


def profile_code(profile: Profile, capabilities: int, machine: str, release: str) -> Code:
    """Return the instructions that `compile_profile` packs."""
    short, native = _OF_MACHINES[machine]

    def holds(when: Mapping[str, Any]) -> tuple[bool, ...]:
        return (
            *(bool(capabilities & mask(name.removeprefix("CAP_"))) for name in when.get("caps") or ()),
            *((short in when["arches"],) if when.get("arches") else ()),
            *((kernel_version(release) >= kernel_version(when["minKernel"]),) if when.get("minKernel") else ()),
        )

    rules = [rule for rule in profile.rules if all(holds(rule.when)) and not any(holds(rule.unless))]
    wanted = next((names for names in profile.architectures if native in names), (native,))
    numbers = {_ARCHITECTURES[native], *(_ARCHITECTURES[each] for each in wanted if each in _ARCHITECTURES)}
    return seccomp.by_architecture(
        (arch, _intervals(table, rules, profile.default))
        for arch, table in seccomp.MACHINES[machine]
        if arch in numbers
    )


def _intervals(table: Table, rules: Iterable[CallRule], default: int) -> list[tuple[int, Code]]:
    """Return (first number, what to do) pairs in rising order."""
    by_name: dict[str, list[CallRule]] = {}
    for rule in rules:
        for name in rule.names:
            by_name.setdefault(name, []).append(rule)
    codes = {table[name]: _judged(found, default) for name, found in by_name.items() if name in table}
    # For calls that are newer than the profile: with ENOSYS, C libraries fall back to older calls, as with runc.
    beyond = returning(seccomp.ENOSYS if default & 0xFFFF0000 == ERRNO else default)
    return seccomp.intervals(codes, gaps=returning(default), beyond=beyond)


def _judged(rules: list[CallRule], default: int) -> Code:
    for rule in rules:
        if not rule.conditions:
            return returning(rule.verdict)
    tests = (code for rule in rules for code in _alternatives(rule))
    return (*(step for code in tests for step in code), *returning(default))


def _alternatives(rule: CallRule) -> Iterable[Code]:
    """Yield a piece of code for each set of conditions that must all hold; if they do not, it falls through."""
    places = [condition.index for condition in rule.conditions]
    together = [rule.conditions] if len(set(places)) == len(places) else [(each,) for each in rule.conditions]
    for conditions in together:
        steps = [step for each in conditions for step in _TESTS[each.operator](each)]
        yield _linked([*steps, *returning(rule.verdict)])


def _linked(steps: list[Instruction]) -> Code:
    # A jump counts from the instruction after it, so the end of a piece is as far away as there are instructions left.
    return tuple(
        Instruction(
            step.code,
            step.k,
            jt=len(steps) - at - 1 if step.jt == _FAIL else step.jt,
            jf=len(steps) - at - 1 if step.jf == _FAIL else step.jf,
        )
        for at, step in enumerate(steps)
    )


def _halves(condition: Condition) -> tuple[Instruction, Instruction, int, int]:
    """Return the loads of the high and the low half of the argument, and the halves of the value."""
    place = ARGUMENTS_OFFSET + 8 * condition.index
    high, low = divmod(condition.value, 1 << 32)
    return Instruction(LOAD, place + 4), Instruction(LOAD, place), high, low


def _equal(condition: Condition) -> Code:
    # BPF compares 32 bits at once: both halves of a value, the high one first.
    load_high, load_low, high, low = _halves(condition)
    return (load_high, Instruction(JEQ, high, jf=_FAIL), load_low, Instruction(JEQ, low, jf=_FAIL))


def _not_equal(condition: Condition) -> Code:
    # With another high half the values differ, whatever the low half is, which is then not compared.
    load_high, load_low, high, low = _halves(condition)
    return (load_high, Instruction(JEQ, high, jf=2), load_low, Instruction(JEQ, low, jt=_FAIL))


def _above(jump: int) -> "Callable[[Condition], Code]":
    """Return the test for arguments above the value; with the *jump* JGE also for equal ones."""

    def test(condition: Condition) -> Code:
        load_high, load_low, high, low = _halves(condition)
        decided = (Instruction(_JGT, high, jt=3), Instruction(JEQ, high, jf=_FAIL))
        return (load_high, *decided, load_low, Instruction(jump, low, jf=_FAIL))

    return test


def _below(jump: int) -> "Callable[[Condition], Code]":
    """Return the test for arguments below the value; with the *jump* JGT also for equal ones."""

    def test(condition: Condition) -> Code:
        load_high, load_low, high, low = _halves(condition)
        decided = (Instruction(_JGT, high, jt=_FAIL), Instruction(JEQ, high, jf=2))
        return (load_high, *decided, load_low, Instruction(jump, low, jt=_FAIL))

    return test


def _masked(condition: Condition) -> Code:
    load_high, load_low, high, low = _halves(condition)
    wanted_high, wanted_low = divmod(condition.second, 1 << 32)
    first = (load_high, Instruction(_AND, high), Instruction(JEQ, wanted_high, jf=_FAIL))
    return (*first, load_low, Instruction(_AND, low), Instruction(JEQ, wanted_low, jf=_FAIL))


_TESTS: Mapping[str, Callable[[Condition], Code]] = {
    "SCMP_CMP_EQ": _equal,
    "SCMP_CMP_NE": _not_equal,
    "SCMP_CMP_GT": _above(_JGT),
    "SCMP_CMP_GE": _above(JGE),
    "SCMP_CMP_LT": _below(JGE),
    "SCMP_CMP_LE": _below(_JGT),
    "SCMP_CMP_MASKED_EQ": _masked,
}
