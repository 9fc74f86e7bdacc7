import os
from pathlib import Path

import pytest

from runtime.filelock import sweep
from runtime.scratch import scratch


def test_a_tree_of_any_depth_is_gone_afterwards(tmp_path: Path) -> None:
    with scratch("x-", tmp_path) as place:
        fd = os.open(place, os.O_RDONLY)
        for _ in range(3000):
            os.mkdir("d", dir_fd=fd)
            inner = os.open("d", os.O_RDONLY, dir_fd=fd)
            os.close(fd)
            fd = inner
        os.close(fd)

    assert list(tmp_path.iterdir()) == []


def test_it_goes_after_an_error_too_and_is_swept_by_nobody_meanwhile(tmp_path: Path) -> None:
    def fail() -> None:
        with scratch("x-", tmp_path) as place:
            assert sweep(tmp_path, "x-") == []
            assert place.stat().st_mode & 0o777 == 0o700
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert list(tmp_path.iterdir()) == []
