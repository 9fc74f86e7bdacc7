"""What is run in a sandbox, as values."""

from pathlib import Path, PurePosixPath

import pytest

from pybuild.runtime.kernel.capabilities import DEFAULT
from pybuild.runtime.rootfs.roots import DirectoryRoot
from pybuild.runtime.sandbox.spec import Bind, ExitStatus, Network, Process, Spec, Tmpfs


@pytest.mark.parametrize(
    ("status", "code"), [(ExitStatus(code=0), 0), (ExitStatus(code=7), 7), (ExitStatus(signal=9), 137)]
)
def test_a_shell_shows_a_signal_above_128(status: ExitStatus, code: int) -> None:
    assert status.shell_code == code


def test_without_settings_a_process_is_confined() -> None:
    spec = Spec(root=DirectoryRoot(path=Path("/")), process=Process(args=("true",)))
    assert (spec.capabilities, spec.insecure, spec.seccomp, spec.shared) == (DEFAULT, False, None, ())
    assert (spec.network, spec.hostname, spec.interactive, spec.terminal) == (
        Network.HOST,
        "buildkitsandbox",
        False,
        False,
    )


def test_a_directory_of_the_host_is_mounted_read_only_unless_the_caller_says_otherwise() -> None:
    bind = Bind(host_path=Path("/srv"), target=PurePosixPath("/srv"))
    assert (bind.read_only, bind.movable, bind.propagation) == (True, False, "")


def test_a_tmpfs_without_a_mode_takes_that_of_the_directory_below() -> None:
    assert Tmpfs(target=PurePosixPath("/tmp")).mode is None
