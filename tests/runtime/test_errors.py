"""Errors of the host: messages without numbers, and short ones whatever an image holds."""

import errno
import inspect
import os

import pytest

from pybuild.runtime import errors
from pybuild.runtime.errors import (
    NoSuchSnapshot,
    RuntimeHostError,
    SandboxError,
    SandboxUnavailable,
    SnapshotError,
    TreesNeeded,
    UnknownUser,
    UnmappedOwner,
    kernel_reason,
)


def test_all_errors_have_one_root() -> None:
    kinds = [kind for _, kind in inspect.getmembers(errors, inspect.isclass)]
    assert [kind for kind in kinds if not issubclass(kind, RuntimeHostError)] == []
    assert issubclass(NoSuchSnapshot, SnapshotError)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(errno.ENOENT, os.strerror(errno.ENOENT), "/etc/x"), "no such file or directory"),
        (OSError("Lost connection"), "lost connection"),
    ],
)
def test_a_reason_has_neither_number_nor_path(error: OSError, reason: str) -> None:
    assert kernel_reason(error) == reason


def test_a_sandbox_error_names_operation_and_path() -> None:
    assert str(SandboxError("mount", "/proc", errno.EPERM)) == "mount /proc: Operation not permitted"
    assert str(SandboxError("fork", "", errno.EAGAIN, "too many processes")) == "fork: too many processes"


def test_what_a_host_lacks_comes_with_what_to_do() -> None:
    error = SandboxUnavailable("no namespaces", "permit them", "sysctl x=1")
    assert (str(error), error.hint, error.command) == ("no namespaces", "permit them", "sysctl x=1")
    assert f"user {os.geteuid()} " in str(TreesNeeded())


def test_a_name_of_an_image_is_cut_and_need_not_be_text() -> None:
    error = UnknownUser("user", b"\xff" + b"a" * 100, "no matching entries in passwd file")
    assert error.name == b"\xff" + b"a" * 63
    assert str(error) == f"unable to find user \udcff{'a' * 63}: no matching entries in passwd file"


def test_an_owner_beyond_the_ids_of_a_user_says_how_many_there_are() -> None:
    error = UnmappedOwner("/file", "group", 70000, 65535)
    assert str(error) == "/file: group 70000 is beyond the ids of this user, which go up to 65535"
    assert "usermod --add-subuids" in error.hint
