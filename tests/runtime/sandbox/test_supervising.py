from pathlib import Path

import pytest

from pybuild.runtime.errors import SandboxUnavailable
from pybuild.runtime.ownership import recording
from pybuild.runtime.ownership.table import OwnerTable
from pybuild.runtime.rootfs.roots import OverlayRoot
from pybuild.runtime.sandbox.spec import Process, Spec
from pybuild.runtime.sandbox.supervising import supervision_of
from pybuild.runtime.values import replace

_EXECUTING = {b"execve", b"execveat"}
SPEC = Spec(root=OverlayRoot(lowers=(Path("/"),)), process=Process(args=("true",)))


@pytest.fixture(autouse=True)
def _no_owners(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(recording, "table", lambda: OwnerTable(tmp_path / "owners"))


@pytest.mark.parametrize("kept", [True, False])
def test_programs_set_no_ids_without_new_privileges(*, kept: bool) -> None:
    calls = {name for _, name in supervision_of(replace(SPEC, no_new_privileges=kept)).calls}
    assert calls & _EXECUTING == (set() if kept else _EXECUTING)


def test_more_than_the_usual_privileges_are_refused() -> None:
    with pytest.raises(SandboxUnavailable, match="no other capabilities"):
        supervision_of(replace(SPEC, insecure=True))
