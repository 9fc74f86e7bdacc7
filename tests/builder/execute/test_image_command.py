from errno import EINVAL, EIO, EISDIR
from pathlib import Path, PurePosixPath

import pytest

from pybuild.builder.errors import BuildError, RequestError
from pybuild.builder.execute.image_command import ImageCommand, mistake, rootfs_of, spec_of
from pybuild.builder.oci.model import ContainerConfig
from pybuild.builder.store.store import Store
from pybuild.runtime.errors import SandboxError
from pybuild.runtime.paths.safepath import Root
from pybuild.runtime.rootfs.roots import DirectoryRoot
from pybuild.runtime.sandbox.spec import FileMount, Tmpfs
from tests.helpers.hosts import need_root
from tests.helpers.images import tiny_image

ROOT = DirectoryRoot(path=Path("/nonexistent"))
CONFIG = ContainerConfig(entrypoint=("/entry",), cmd=("default",), working_dir="/srv", user="alice")


def test_what_the_command_leaves_open_is_what_the_image_says() -> None:
    process = spec_of(ImageCommand(), CONFIG, ROOT).process
    assert (process.args, process.cwd, process.user) == (("/entry", "default"), "/srv", "alice")
    other = spec_of(ImageCommand(words=("x",), workdir="/w", user="", env=(("PATH", "/p"),)), CONFIG, ROOT).process
    assert (other.args, other.cwd, other.user) == (("/entry", "x"), "/w", "")
    assert dict(other.env) == {"PATH": "/p", "HOSTNAME": "pybuild"}


def test_a_new_entrypoint_drops_the_command_of_the_image_and_an_empty_one_needs_words() -> None:
    assert spec_of(ImageCommand(entrypoint="/other"), CONFIG, ROOT).process.args == ("/other",)
    with pytest.raises(RequestError, match="no command specified"):
        spec_of(ImageCommand(entrypoint=""), CONFIG, ROOT)


def test_the_file_of_the_host_name_gives_way_to_a_mount_in_its_place() -> None:
    (name,) = spec_of(ImageCommand(hostname="h"), CONFIG, ROOT).mounts
    assert isinstance(name, FileMount)
    assert name.content == b"h\n"
    own = Tmpfs(target=PurePosixPath("/etc/hostname"))
    assert spec_of(ImageCommand(mounts=(own,)), CONFIG, ROOT).mounts == (own,)


def test_mistakes_of_an_image_are_worded_as_in_a_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYBUILD_SNAPSHOTTER", "copying")
    need_root()
    with Store.open(tmp_path / "store") as store, store.in_use():
        image = tiny_image(store.blobs, {"f": b"x"})
        with (
            pytest.raises(BuildError, match=r"^cannot mount on /f: a directory is in the way"),
            rootfs_of(image, store),
        ):
            raise SandboxError("mount file on", "/f", EISDIR)
        with pytest.raises(SandboxError, match=r"^mount file on /f: "), rootfs_of(image, store):
            raise SandboxError("mount file on", "/f", EIO)


@pytest.mark.parametrize(
    ("operation", "message", "hint"),
    [
        ("find user", "no matching entries in passwd file", "add the user to the image in an earlier step"),
        ("find group", "no matching entries in group file", "add the group to the image in an earlier step"),
        ("find user", "the id is out of range, which ends at 4294967294", ""),
    ],
)
def test_an_unknown_name_has_a_hint(operation: str, message: str, hint: str) -> None:
    found = mistake(SandboxError(operation, "x", EINVAL, message))
    assert found is not None
    assert (str(found), found.hint.partition(",")[0]) == (f"unable to {operation} x: {message}", hint)


@pytest.mark.parametrize(
    ("operation", "name", "hint"),
    [
        ("find user", "alcie", 'did you mean "alice"?'),
        ("find group", "staf", 'did you mean "staff"?'),
        ("find user", "staf", "add the user to the image in an earlier step, or use a number"),
    ],
)
def test_a_similar_name_of_the_image_is_the_hint(tmp_path: Path, operation: str, name: str, hint: str) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_bytes(b"\xff:x:1:1::/:\nalice:x:1000:1000::/:\n")
    (tmp_path / "etc/group").write_text("staff:x:50:\n")
    error = SandboxError(operation, name, EINVAL, f"no matching entries in {operation} file")
    found = mistake(error, lambda: Root.open_host(tmp_path))
    assert found is not None
    assert found.hint == hint


def test_a_hint_needs_no_list_of_names(tmp_path: Path) -> None:
    error = SandboxError("find user", "alice", EINVAL, "no matching entries in passwd file")
    found = mistake(error, lambda: Root.open_host(tmp_path))
    assert found is not None
    assert found.hint.startswith("add the user")
