"""The filter beside Docker's published default profile, call by call; docker_profile.toml has the reasons to differ."""

import tomllib
from pathlib import Path

import pytest

from pybuild.runtime.kernel.capabilities import DEFAULT, mask
from pybuild.runtime.sandbox.inside.seccomp import ALLOW, compile_filter
from tests.runtime.sandbox.inside.test_seccomp import MACHINES, interpret

PROFILE = tomllib.loads(Path(__file__).with_name("docker_profile.toml").read_text(encoding="utf-8"))
NAMES = {"x86_64": MACHINES[0], "i386": MACHINES[1], "aarch64": MACHINES[2]}
REFUSED = frozenset(name for names in PROFILE["refused"].values() for name in names.split())
CALLS = [(machine, name) for machine, (_, _, table) in NAMES.items() for name in table]
# Their verdict depends on arguments, or is ENOSYS; test_arguments_are_looked_at_as_docker_does has them.
OF_ARGUMENTS = {"clone", "clone3", "personality", "socket", "ioctl"}


def allows(machine: str, name: str, *arguments: int) -> bool:
    program, arch, table = NAMES[machine]
    return interpret(program, table[name], arch, (*arguments, *[0] * (6 - len(arguments)))) == ALLOW


def docker_allows(machine: str, name: str) -> bool:
    return name not in REFUSED and name not in PROFILE["refused_on"].get(machine, "").split()


def test_every_call_is_allowed_and_refused_as_by_docker() -> None:
    differing = {
        (name, ours): None
        for machine, name in CALLS
        if name not in OF_ARGUMENTS and (ours := allows(machine, name)) != docker_allows(machine, name)
    }
    assert {name for name, ours in differing if ours} == set(PROFILE["looser"])
    assert {name for name, ours in differing if not ours} == set(PROFILE["stricter"])


def test_the_table_names_calls_that_there_are() -> None:
    known = {name for _, name in CALLS}
    assert set() == REFUSED - known
    assert set() == (set(PROFILE["looser"]) | set(PROFILE["stricter"])) - known


@pytest.mark.parametrize("machine", NAMES)
def test_arguments_are_looked_at_as_docker_does(machine: str) -> None:
    rules = PROFILE["arguments"]
    flags = {1 << bit for bit in range(32) if not allows(machine, "clone", 1 << bit)}
    assert sum(flags) == rules["clone_flags"]
    assert allows(machine, "clone", 0x01200011)
    families = {family for first, last in rules["families"] for family in range(first, last + 1)}
    assert {family for family in range(256) if allows(machine, "socket", family)} == families
    tried = (*(1 << bit for bit in range(32)), *rules["personalities"], 0x20009, 0x400008, 0xFFFFFFFE)
    assert {each for each in tried if allows(machine, "personality", each)} == set(rules["personalities"])


@pytest.mark.parametrize("capability", [name for name in PROFILE["refused"] if name != "nothing"])
@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_a_capability_unlocks_what_it_does_for_docker(machine: str, capability: str) -> None:
    _, arch, table = NAMES[machine]
    program = compile_filter(machine, DEFAULT | mask(capability))
    allowed = {name for name, number in table.items() if interpret(program, number, arch, (0,) * 6) == ALLOW}
    usual = {name for name in table if allows(machine, name)}
    unlocked = {*PROFILE["refused"][capability].split(), *(["clone3"] if capability == "SYS_ADMIN" else [])}
    assert allowed - usual == unlocked & table.keys() - usual
    clone = interpret(program, table["clone"], arch, (PROFILE["arguments"]["clone_flags"], 0, 0, 0, 0, 0))
    assert (clone == ALLOW) == (capability == "SYS_ADMIN")
