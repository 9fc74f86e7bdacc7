"""The worker itself: gone with its builder."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

_BUILDER = """
import os, sys
from pybuild.runtime.worker.client import call
from tests.runtime.worker import functions
call(functions.until_interrupted, 1000, listener=lambda pid: print(pid, flush=True))
"""


def test_a_builder_that_is_killed_leaves_no_process() -> None:
    environment = {**os.environ, "PYTHONPATH": os.fspath(Path(__file__).parents[3])}
    builder = subprocess.Popen([sys.executable, "-c", _BUILDER], stdout=subprocess.PIPE, text=True, env=environment)
    assert builder.stdout is not None
    sleeper = int(builder.stdout.readline())
    parent = int(Path(f"/proc/{sleeper}/stat").read_text().split()[3])
    worker = int(Path(f"/proc/{parent}/stat").read_text().split()[3])
    builder.kill()
    builder.wait()
    builder.stdout.close()
    assert _gone(worker)
    assert _gone(parent)
    # The function may have had no time left to end its own program; a sandbox has its keeper for that.
    with suppress(ProcessLookupError):
        os.kill(sleeper, signal.SIGKILL)


def _gone(pid: int) -> bool:
    for _ in range(500):
        with suppress(FileNotFoundError):
            if Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z":
                time.sleep(0.02)
                continue
        return True
    return False
