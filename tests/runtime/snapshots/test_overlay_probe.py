"""The trial of overlayfs: what means "not supported", what is a failure, and nothing is left of it."""

import errno
import os
from pathlib import Path

import pytest

from pybuild.runtime.snapshots import overlay_probe
from pybuild.runtime.snapshots.overlay_probe import overlay_refusal


def failing(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def fail(path: Path) -> None:
        (path / "lower").mkdir()
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(overlay_probe, "_try_overlay", fail)


@pytest.mark.parametrize("number", [errno.EINVAL, errno.EPERM, errno.ENODEV, errno.EOPNOTSUPP])
def test_a_refusal_of_the_kernel_is_returned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    failing(monkeypatch, number)
    refusal = overlay_refusal(tmp_path)
    assert refusal is not None
    assert (refusal.errno, list(tmp_path.iterdir())) == (number, [])


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EMFILE])
def test_a_full_or_broken_disk_is_no_reason_for_copies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    failing(monkeypatch, number)
    with pytest.raises(OSError, match=os.strerror(number)):
        overlay_refusal(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_trial_that_works_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overlay_probe, "_try_overlay", lambda path: (path / "upper").mkdir())
    assert overlay_refusal(tmp_path) is None
    assert list(tmp_path.iterdir()) == []
