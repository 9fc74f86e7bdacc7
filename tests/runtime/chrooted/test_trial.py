"""What is needed for a chroot is tried, where images would lie."""

from pathlib import Path

from pybuild.runtime.sandbox.privileges import try_chroot_in
from tests.helpers.hosts import need_root
from tests.helpers.program import Program
from tests.helpers.restricted import restricted


def test_a_host_that_does_not_control_devices_is_refused(tmp_path: Path) -> None:
    need_root()
    refusal = try_chroot_in(tmp_path)
    assert str(refusal) == "steps could use all devices of the host"
    assert list(tmp_path.iterdir()) == []


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    need_root()
    without = restricted(Program(store=tmp_path / "store"), "setpriv", "--bounding-set=-sys_chroot", "--")
    printed = without.run("doctor", check=False).stdout
    assert "  chroot   does not work: chroot(2) is refused\n" in printed
