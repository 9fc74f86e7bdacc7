"""What the tests have a worker call: it finds functions by the name of their module."""

import os
import stat
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from pybuild.builder.errors import StepFailed
from pybuild.runtime.errors import SandboxError, SandboxUnavailable

Tell = Callable[[Any], None]


def surroundings(tell: Tell, name: str) -> tuple[int, str, str | None]:
    tell("one")
    tell(("two", name))
    return os.getpid(), os.getcwd(), os.environ.get(name)


FAILURES = (
    StepFailed("no", step="RUN x", lines=(3, 4), exit_code=7, output=("0.1 out",), hint="do"),
    SandboxUnavailable("why", "hint"),
    SandboxError("mount", "/p", 13),
    ValueError("plain", 2),
)


def failing(_tell: Tell, number: int) -> None:
    raise FAILURES[number] from OSError(28, "No space left on device")


def unlike_others(_tell: Tell) -> None:
    raise Odd(threading.Lock(), "text")


class Odd(Exception):
    """Its constructor takes what it does not keep, and it holds what cannot cross."""

    def __init__(self, lock: object, text: str) -> None:
        super().__init__(text)
        self.lock, self.text = lock, text


def until_interrupted(tell: Tell, seconds: float) -> None:
    child = subprocess.Popen(["sleep", "1000"])
    tell(child.pid)
    try:
        time.sleep(seconds)
    finally:
        child.kill()
        child.wait()
        tell("cleaned up")


def killed(_tell: Tell) -> None:
    os.kill(os.getpid(), 9)


def kill_worker(_tell: Tell) -> None:
    os.kill(os.getppid(), 9)
    time.sleep(100)


def descriptors(_tell: Tell) -> list[str]:
    """What is open beside the standard streams, by what it is."""
    found = []
    for fd in map(int, os.listdir("/proc/self/fd")):
        with suppress(OSError):  # the one of the listing
            if fd > 2:
                found.append(stat.filemode(os.fstat(fd).st_mode)[0])
    return found


def content(_tell: Tell, numbers: tuple[int, ...]) -> list[str]:
    found = []
    for number in numbers:
        with open(f"/proc/self/fd/{number}") as file:
            found.append(file.read())
    return found
