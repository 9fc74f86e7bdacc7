"""Opening inside a root by the kernel alone, as the sandbox child does."""

import errno
import os
from pathlib import Path

import pytest

from pybuild.runtime.kernel import syscalls
from pybuild.runtime.paths.in_root import open_inside
from pybuild.runtime.paths.safepath import Root


@pytest.mark.parametrize(("races", "error"), [(31, FileNotFoundError), (32, BlockingIOError)])
def test_a_resolution_that_races_with_renames_is_tried_again_up_to_a_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, races: int, error: type[Exception]
) -> None:
    genuine = syscalls.openat2
    left = [races]

    def openat2(*args: object, **kwargs: object) -> int:
        if left[0]:
            left[0] -= 1
            raise BlockingIOError(errno.EAGAIN, "")
        return genuine(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(syscalls, "openat2", openat2)
    with Root.open_host(tmp_path) as root, pytest.raises(error):
        open_inside(root.fd, b"../x")


def test_a_link_cannot_lead_out_and_magic_links_lead_nowhere(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "canary").touch()
    (tmp_path / "root/up").symlink_to("../../../.." + str(tmp_path / "canary"))
    with Root.open_host(tmp_path / "root") as root, Root.open_host(Path("/")) as host:
        for path in (b"up", b"../canary", b"/../canary"):
            with pytest.raises(FileNotFoundError):
                open_inside(root.fd, path)
        with pytest.raises(OSError, match="symbolic links"):
            open_inside(host.fd, b"/proc/self/root/etc")


def test_the_root_itself_is_the_empty_path(tmp_path: Path) -> None:
    with Root.open_host(tmp_path) as root:
        found = open_inside(root.fd, b"")
        assert os.fstat(found).st_ino == tmp_path.stat().st_ino
        os.close(found)
