import pytest

from pybuild.builder.errors import ResolveError
from pybuild.builder.oci.model import ContainerConfig, ImageConfig
from pybuild.builder.stages.windows import as_resolved, as_stored, is_windows, posix_path


def image(os, working_dir):
    return ImageConfig(architecture="amd64", os=os, config=ContainerConfig(working_dir=working_dir))


@pytest.mark.parametrize(
    ("path", "seen"),
    [
        ("C:\\app\\x", "/app/x"),
        ("c:/app", "/app"),
        ("\\app\\", "/app/"),
        ("a\\b", "a/b"),
        (".", "."),
        ("", ""),
        ("/a:b", "/a:b"),
    ],
)
def test_a_path_of_windows_is_seen_with_slashes(path, seen):
    assert posix_path(path) == seen


def test_there_is_no_drive_but_that_of_the_system():
    with pytest.raises(ResolveError, match=r"path D:\\x is not on the system drive"):
        posix_path("D:\\x")


def test_a_working_directory_is_stored_with_backslashes_and_read_with_slashes():
    stored = as_stored(image("windows", "/app/x"))
    assert stored.config.working_dir == "\\app\\x"
    assert as_resolved(stored.config).working_dir == "/app/x"
    assert as_stored(image("linux", "/app")) == image("linux", "/app")
    assert [is_windows(image(os, "/")) for os in ("windows", "linux", "")] == [True, False, False]
