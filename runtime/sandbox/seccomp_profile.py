"""System-call filters of users: reads profiles in Docker's JSON format. `seccomp_rules.py` compiles them."""

import json
from collections.abc import Mapping
from typing import Any

from pybuild.runtime.kernel.capabilities import NAMES
from pybuild.runtime.values import frozen

# SECCOMP_RET_* of seccomp(2). SCMP_ACT_KILL is the older name of SCMP_ACT_KILL_THREAD.
ERRNO = 0x00050000
_ACTIONS = {
    "SCMP_ACT_ALLOW": 0x7FFF0000,
    "SCMP_ACT_LOG": 0x7FFC0000,
    "SCMP_ACT_TRACE": 0x7FF00000,
    "SCMP_ACT_ERRNO": ERRNO,
    "SCMP_ACT_TRAP": 0x00030000,
    "SCMP_ACT_KILL": 0x00000000,
    "SCMP_ACT_KILL_THREAD": 0x00000000,
    "SCMP_ACT_KILL_PROCESS": 0x80000000,
}
_WITH_NUMBER = frozenset({"SCMP_ACT_ERRNO", "SCMP_ACT_TRACE"})
_OPERATORS = frozenset(f"SCMP_CMP_{name}" for name in ("EQ", "NE", "LT", "LE", "GT", "GE", "MASKED_EQ"))


class InvalidProfile(ValueError):
    """The text is no seccomp profile, or one with parts that are not supported."""


@frozen
class Condition:
    """A condition on argument *index*; for ``SCMP_CMP_MASKED_EQ`` *value* is the mask."""

    index: int
    operator: str
    value: int
    second: int = 0


@frozen
class CallRule:
    """A verdict on calls whose arguments meet the conditions. *when* and *unless* are ``includes`` and ``excludes``."""

    names: tuple[str, ...]
    verdict: int
    conditions: tuple[Condition, ...] = ()
    when: Mapping[str, Any]
    unless: Mapping[str, Any]


@frozen
class Profile:
    """The content of a profile. *architectures* is empty for the machine's native one only."""

    default: int
    rules: tuple[CallRule, ...]
    architectures: tuple[tuple[str, ...], ...] = ()


def parse_profile(text: str) -> Profile:
    """Return the profile in a JSON text. Raises InvalidProfile."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidProfile(f"not JSON: {error}") from error
    try:
        return _profile(document)
    except (TypeError, AttributeError, KeyError) as error:
        raise InvalidProfile(f"not a seccomp profile: {error}") from error


def _profile(document: Mapping[str, Any]) -> Profile:
    if "defaultAction" not in document:
        raise InvalidProfile("it has no defaultAction")
    for key in ("listenerPath", "listenerMetadata", "flags"):
        if document.get(key):
            raise InvalidProfile(f"{key} is not supported")
    mapped = document.get("archMap") or ()
    listed = tuple(map(str, document.get("architectures") or ()))
    if mapped and listed:
        raise InvalidProfile("use either 'architectures' or 'archMap'")
    return Profile(
        default=_verdict(document["defaultAction"], document.get("defaultErrnoRet")),
        rules=tuple(map(_rule, document.get("syscalls") or ())),
        architectures=(listed,)
        if listed
        else tuple((str(each["architecture"]), *map(str, each.get("subArchitectures") or ())) for each in mapped),
    )


def _verdict(action: object, number: object) -> int:
    if not isinstance(action, str) or action not in _ACTIONS:
        raise InvalidProfile(f"the action {action!r} is not supported")
    if number is not None and (not isinstance(number, int) or not 0 <= number <= 0xFFFF):
        raise InvalidProfile(f"invalid errnoRet {number!r}")
    return _ACTIONS[action] | ((1 if number is None else number) if action in _WITH_NUMBER else 0)


def _rule(given: Mapping[str, Any]) -> CallRule:
    names = tuple(map(str, given.get("names") or ())) or tuple(filter(None, (str(given.get("name") or ""),)))
    if not names:
        raise InvalidProfile("a rule has no names")
    return CallRule(
        names=names,
        verdict=_verdict(given.get("action"), given.get("errnoRet")),
        conditions=tuple(map(_condition, given.get("args") or ())),
        when=_circumstances(given.get("includes")),
        unless=_circumstances(given.get("excludes")),
    )


def _circumstances(given: Any) -> Mapping[str, Any]:
    found = dict(given or {})
    for key in found:
        if key not in {"caps", "arches", "minKernel"}:
            raise InvalidProfile(f"the condition {key!r} is not supported")
    for name in found.get("caps") or ():
        if not isinstance(name, str) or name.removeprefix("CAP_") not in NAMES:
            raise InvalidProfile(f"unknown capability {name!r}")
    kernel_version(str(found.get("minKernel") or "0"))
    return found


def _condition(given: Mapping[str, Any]) -> Condition:
    operator = given.get("op")
    # A call has six arguments, each of 64 bits.
    numbers = [given.get(key) or 0 for key in ("index", "value", "valueTwo")]
    if not all(isinstance(each, int) and 0 <= each < 1 << 64 for each in numbers) or numbers[0] > 5:
        raise InvalidProfile("a condition needs an index from 0 to 5, and values of 64 bits")
    if not isinstance(operator, str) or operator not in _OPERATORS:
        raise InvalidProfile(f"the operator {operator!r} is not supported")
    return Condition(index=numbers[0], operator=operator, value=numbers[1], second=numbers[2])


def kernel_version(text: str) -> tuple[int, ...]:
    """Return the first two numbers of a kernel version. Raises InvalidProfile."""
    try:
        return tuple(int(part) for part in text.partition("-")[0].split(".")[:2])
    except ValueError as error:
        raise InvalidProfile(f"invalid version of a kernel {text!r}") from error
