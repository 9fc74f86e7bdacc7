import fcntl
import os
from pathlib import Path

import pytest

from pybuild.builder.containers import recovery
from pybuild.builder.containers.errors import ContainerError
from pybuild.builder.containers.recovery import take_over


def test_a_lock_is_taken_over_when_its_monitor_lets_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = take_over(tmp_path)
    with pytest.raises(BlockingIOError):
        fcntl.flock(os.open(tmp_path / "monitor", os.O_RDONLY | os.O_CLOEXEC), fcntl.LOCK_EX | fcntl.LOCK_NB)
    monkeypatch.setattr(recovery, "_PATIENCE", 0.0)
    with pytest.raises(ContainerError, match="is being stopped"):
        take_over(tmp_path)
    os.close(lock)
    os.close(take_over(tmp_path))
