import os
from errno import EACCES, EINVAL, EIO, ELOOP, ENOTDIR

import pytest

from pybuild.runtime.errors import SandboxError
from pybuild.runtime.sandbox.inside.command_errors import mistake

PLACE = "/a/b"


@pytest.mark.parametrize(
    ("operation", "errno", "detail", "said"),
    [
        ("mount bind on", ENOTDIR, "", "cannot mount on /a/b: a file is in the way, where a directory is needed"),
        ("mount tmpfs on", ELOOP, "", "cannot mount on /a/b: too many symlinks on the way"),
        ("mount file on", EINVAL, "not here", "cannot mount on /a/b: not here"),
        ("mount bind on", EIO, "", ""),
        ("mount overlay", EINVAL, "", ""),
        ("enter working directory", ENOTDIR, "", "unable to enter working directory /a/b: not a directory"),
        ("find user", EINVAL, "No such One", "unable to find user /a/b: No such One"),
        ("execute", EINVAL, "", "an argument or a variable of the process has a NUL byte"),
        ("execute", EACCES, "", ""),
        ("make the root read-only", EINVAL, "", ""),
    ],
)
def test_mistakes_of_users_are_told_from_failures_of_the_host(operation, errno, detail, said):
    error = SandboxError(operation, PLACE, errno, detail)
    assert mistake(operation, PLACE, errno, str(error)) == said


def test_what_the_kernel_said_begins_in_lower_case_only_at_the_end_of_a_sentence():
    kernel = os.strerror(ENOTDIR)
    error = SandboxError("find mount source", f"/{kernel}/x", ENOTDIR)
    assert mistake(error.operation, error.path, ENOTDIR, str(error)).endswith(f"/{kernel}/x: not a directory")
