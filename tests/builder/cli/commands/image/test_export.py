import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

from tests.builder.cli.conftest import BASE, Shop
from tests.helpers.images import AMD64, ARM64, tiny_image, tiny_index


def files(raw: bytes) -> dict[str, bytes]:
    """The regular files of an archive."""
    with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar if member.isfile()}


def test_the_files_of_an_image_are_written_without_those_that_upper_layers_hide(shop: Shop, tmp_path: Path) -> None:
    shop.image("tiny:1", layers=(BASE, {"etc/.wh.motd": b"", "new": b"1"}))
    assert shop.run("export", "-o", str(tmp_path / "x.tar"), "tiny:1").out == ""
    assert files((tmp_path / "x.tar").read_bytes()) == {"bin/x": BASE["bin/x"], "new": b"1"}


def test_an_export_goes_through_a_pipe_and_import_takes_it(shop: Shop) -> None:
    shop.image("tiny:1")
    command = [sys.executable, "-m", "pybuild", "--root", str(shop.store.root)]
    for output in ((), ("-o", "-")):
        written = subprocess.run([*command, "export", *output, "tiny:1"], capture_output=True, check=True, timeout=60)
        assert files(written.stdout) == dict(BASE)
    subprocess.run([*command, "import", "-", "again:1"], input=written.stdout, check=True, timeout=60)
    assert "docker.io/library/again:1" in shop.names()


def test_a_terminal_gets_no_archive(shop: Shop) -> None:
    shop.image("tiny:1")
    ours, theirs = os.openpty()
    command = [sys.executable, "-m", "pybuild", "--root", str(shop.store.root), "export", "tiny:1"]
    done = subprocess.run(command, stdout=theirs, stderr=subprocess.PIPE, text=True, check=False, timeout=60)
    os.close(ours)
    os.close(theirs)
    assert (done.returncode, "refusing to write an archive to a terminal" in done.stderr) == (2, True)


def test_a_platform_can_be_chosen(shop: Shop, tmp_path: Path) -> None:
    images = [tiny_image(shop.store.blobs, {"x": p.architecture.encode()}, platform=p) for p in (AMD64, ARM64)]
    shop.store.layout.tag("docker.io/library/multi:1", tiny_index(shop.store.blobs, *images))
    assert shop.run("export", "--platform=arm64", "-o", str(tmp_path / "x.tar"), "multi:1").code == 0
    assert files((tmp_path / "x.tar").read_bytes()) == {"x": b"arm64"}


def test_a_link_in_place_of_the_file_is_replaced_and_a_failure_leaves_it(shop: Shop, tmp_path: Path) -> None:
    image = shop.image("tiny:1")
    (tmp_path / "victim").write_text("kept")
    (tmp_path / "x.tar").symlink_to(tmp_path / "victim")
    assert shop.run("export", "-o", str(tmp_path / "x.tar"), "none:1").code == 1
    assert (tmp_path / "x.tar").is_symlink()
    assert shop.run("export", "-o", str(tmp_path / "x.tar"), str(image.id)).code == 0
    assert not (tmp_path / "x.tar").is_symlink()
    assert (tmp_path / "victim").read_text() == "kept"
