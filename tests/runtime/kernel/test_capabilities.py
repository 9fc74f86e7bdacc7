"""The names of capabilities have the numbers of this kernel's headers."""

from pathlib import Path

import pytest

from pybuild.runtime.kernel.capabilities import DEFAULT, EVERY, NAMES, mask


def test_names_stand_at_their_numbers() -> None:
    # linux/capability.h
    numbers = {"CHOWN": 0, "SETPCAP": 8, "SYS_CHROOT": 18, "SYS_ADMIN": 21, "SETFCAP": 31, "CHECKPOINT_RESTORE": 40}
    assert {name: NAMES.index(name) for name in numbers} == numbers
    last = int(Path("/proc/sys/kernel/cap_last_cap").read_text())
    # A newer kernel may have more.
    assert len(NAMES) <= last + 1 or last < 40


def test_the_default_is_that_of_docker() -> None:
    docker = "CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID SETPCAP NET_BIND_SERVICE NET_RAW SYS_CHROOT MKNOD"
    assert mask(*docker.split(), "AUDIT_WRITE", "SETFCAP") == DEFAULT
    assert DEFAULT & mask("SYS_ADMIN", "SYS_PTRACE", "NET_ADMIN", "SYS_MODULE") == 0


def test_a_name_counts_once_and_an_unknown_one_is_an_error() -> None:
    assert mask("KILL", "KILL") == mask("KILL") == 1 << 5
    assert mask() == 0
    with pytest.raises(ValueError, match="tuple"):
        mask("EVERYTHING")


def test_every_capability_includes_those_without_a_name_yet() -> None:
    assert mask(*NAMES) < EVERY
    assert EVERY & (1 << 63)
