"""A process is run in the isolation that there is."""

from pathlib import Path

import pytest

from pybuild.runtime import running
from pybuild.runtime.chrooted import run as chrooted
from pybuild.runtime.rootfs.roots import DirectoryRoot
from pybuild.runtime.sandbox import launcher
from pybuild.runtime.sandbox.spec import ExitStatus, Process, Spec


@pytest.mark.parametrize(("is_chroot", "code"), [(True, 1), (False, 2)])
def test_the_isolation_decides_what_runs(monkeypatch: pytest.MonkeyPatch, is_chroot: bool, code: int) -> None:
    monkeypatch.setattr(running, "is_chroot", lambda: is_chroot)
    monkeypatch.setattr(chrooted, "run", lambda *_, **__: ExitStatus(code=1))
    monkeypatch.setattr(launcher, "run", lambda *_, **__: ExitStatus(code=2))
    what = Spec(root=DirectoryRoot(path=Path("/nowhere")), process=Process(args=("true",)))
    assert running.run(what, output=lambda *_: None) == ExitStatus(code=code)
