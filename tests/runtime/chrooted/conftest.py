import os
import subprocess
from collections.abc import Iterator

import pytest


@pytest.fixture
def outside() -> Iterator[int]:
    """A process outside, which leads a group, and to which nothing must happen."""
    with subprocess.Popen(["sleep", "1000"], process_group=0) as process:
        try:
            yield process.pid
            assert process.poll() is None
            assert os.getpriority(os.PRIO_PROCESS, process.pid) == os.getpriority(os.PRIO_PROCESS, 0)
        finally:
            process.kill()
