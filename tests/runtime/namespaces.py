"""Runs a function in a child process with a private mount namespace, so that a test can mount what it likes."""

import os
import traceback
from collections.abc import Callable
from pathlib import Path

from pybuild.runtime.kernel.syscalls import CLONE_NEWNS, MS_PRIVATE, MS_REC, mount, unshare
from tests.helpers.hosts import need_root


def mounts() -> set[str]:
    """Return the numbers of the mounts in the namespace of this process.

    In a copy of the host's namespace a mount point that somebody removes there takes its mount along, or changes its line.
    """
    return {line.split()[0] for line in Path("/proc/self/mountinfo").read_text().splitlines()}


def in_mount_namespace(work: Callable[[], object]) -> str:
    """Return what *work* returned as text; a failure inside fails here with its traceback."""
    need_root()
    end, start = os.pipe()
    child = os.fork()
    if child == 0:
        code, text = 1, ""
        try:
            unshare(CLONE_NEWNS)
            mount("none", "/", None, MS_REC | MS_PRIVATE)
            code, text = 0, str(work())
        except BaseException:
            text = traceback.format_exc()
        finally:
            os.write(start, text.encode())
            os._exit(code)
    os.close(start)
    with open(end, encoding="utf-8") as pipe:
        text = pipe.read()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, text
    return text
