"""Copies between two file trees that are not trusted."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from pybuild.builder.containers.copying import Copier, copy, last_name
from pybuild.builder.containers.errors import ContainerError
from pybuild.runtime.paths.safepath import Root


@pytest.fixture
def trees(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    for name in ("old", "new", "outside"):
        (tmp_path / name).mkdir()
    (tmp_path / "outside/secret").write_text("secret")
    return tmp_path / "old", tmp_path / "new"


def put(old: Path, source: str, new: Path, target: str, *, follow: bool = False) -> None:
    with Root.open_host(old) as here, Root.open_host(new) as there:
        copy((here, source), (there, target), Copier(None), follow=follow)


def test_a_file_keeps_its_mode_and_time(trees: tuple[Path, Path]) -> None:
    old, new = trees
    (old / "f").write_text("x")
    (old / "f").chmod(0o4711)
    os.utime(old / "f", ns=(1_000_000_001, 2_000_000_002))
    put(old, "f", new, "g")
    status = (new / "g").stat()
    assert (new / "g").read_text() == "x"
    assert (stat.S_IMODE(status.st_mode), status.st_mtime_ns) == (0o4711, 2_000_000_002)


@pytest.mark.parametrize(
    ("source", "target", "found"),
    [
        ("d", "missing", "missing/f"),
        ("d", "there", "there/d/f"),
        ("d/.", "there", "there/f"),
        ("d/f", "there", "there/f"),
        ("d/f", "there/g", "there/g"),
        ("d", "there/", "there/d/f"),
    ],
)
def test_directories_are_placed_as_docker_cp_places_them(
    trees: tuple[Path, Path], source: str, target: str, found: str
) -> None:
    old, new = trees
    (old / "d").mkdir()
    (old / "d/f").write_text("x")
    (new / "there").mkdir()
    put(old, source, new, target)
    assert [path.relative_to(new).as_posix() for path in new.rglob("*") if path.is_file()] == [found]


def test_directories_are_merged_and_files_replaced(trees: tuple[Path, Path]) -> None:
    old, new = trees
    for root, text in ((old, "new"), (new, "before")):
        (root / "d/e").mkdir(parents=True)
        (root / "d/e/f").write_text(text)
    (new / "d/kept").write_text("kept")
    put(old, "d/.", new, "d")
    assert (new / "d/e/f").read_text() == "new"
    assert (new / "d/kept").read_text() == "kept"


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        ("missing", "x", "Could not find the file /missing in the source"),
        ("f", "missing/", "no such directory: /missing/"),
        ("f", "g/", "no such directory: /g/"),
        ("d", "g", "cannot copy a directory to the file /g"),
        ("f", "missing/x", "Could not find the directory of /missing/x"),
        ("f", "e", "cannot overwrite directory 'f' with a non-directory"),
        ("d/.", "h", "cannot overwrite non-directory 'in' with a directory"),
    ],
)
def test_what_does_not_fit_is_an_error_with_docker_s_words(
    trees: tuple[Path, Path], source: str, target: str, message: str
) -> None:
    old, new = trees
    (old / "f").write_text("x")
    (old / "d/in").mkdir(parents=True)
    (new / "g").write_text("there")
    (new / "e/f").mkdir(parents=True)
    (new / "h").mkdir()
    (new / "h/in").write_text("a file")
    with pytest.raises(ContainerError) as caught:
        put(old, source, new, target)
    assert message in str(caught.value)


def test_a_symlink_is_copied_unless_it_is_to_be_followed(trees: tuple[Path, Path]) -> None:
    old, new = trees
    (old / "f").write_text("x")
    (old / "link").symlink_to("f")
    put(old, "link", new, "kept")
    put(old, "link", new, "followed", follow=True)
    assert os.readlink(new / "kept") == "f"
    assert not (new / "followed").is_symlink()
    assert (new / "followed").read_text() == "x"


def test_a_symlink_to_a_file_at_the_target_is_written_through(trees: tuple[Path, Path]) -> None:
    old, new = trees
    (old / "f").write_text("new")
    (new / "real").write_text("old")
    (new / "link").symlink_to("/real")  # absolute within the tree
    put(old, "f", new, "link")
    assert (os.readlink(new / "link"), (new / "real").read_text()) == ("/real", "new")


def test_no_symlink_leads_out_of_a_tree(trees: tuple[Path, Path]) -> None:
    old, new = trees
    (old / "link").symlink_to("../outside/secret")
    (old / "f").write_text("x")
    (new / "out").symlink_to("../outside")
    with pytest.raises(ContainerError):
        put(old, "link", new, "stolen", follow=True)
    with pytest.raises(ContainerError):
        put(old, "f", new, "out/f")
    assert not (new / "stolen").exists()
    assert os.listdir(new.parent / "outside") == ["secret"]


def test_a_pipe_is_made_and_never_opened(trees: tuple[Path, Path]) -> None:
    old, new = trees
    (old / "d").mkdir()
    os.mkfifo(old / "d/pipe", 0o600)
    put(old, "d", new, "d")
    assert stat.S_ISFIFO((new / "d/pipe").lstat().st_mode)


def test_the_last_name_of_a_path() -> None:
    assert [last_name(path) for path in ("a/b", "a/b/", "a/b/.", "/", ".", "")] == ["b", "b", "b", ".", ".", "."]
