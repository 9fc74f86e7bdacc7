"""Kill a transfer while it is half done, to see that the next command resumes it."""

import subprocess
import time
from pathlib import Path

_ENOUGH = 1 << 20


def partial_bytes(store: Path) -> int:
    """Return how many bytes of unfinished blobs *store* holds.

    A file that is renamed between the listing and the look at it is finished, so it does not count.
    """
    total = 0
    for part in store.glob("tmp/blob-part-*"):
        try:
            total += part.stat().st_size
        except FileNotFoundError:
            continue
    return total


def kill_halfway(process: subprocess.Popen[bytes] | subprocess.Popen[str], store: Path) -> None:
    """Kill *process* as soon as it has written 1 MiB of an unfinished blob to *store*, or wait for its end."""
    while process.poll() is None and partial_bytes(store) < _ENOUGH:
        time.sleep(0.001)
    process.kill()
    process.communicate()
