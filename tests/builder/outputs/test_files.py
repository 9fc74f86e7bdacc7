import os
import subprocess
import sys
from pathlib import Path

import pytest

from pybuild.builder.errors import RequestError
from pybuild.builder.outputs.files import destination, replace_file, replaced


def test_a_file_is_replaced_by_a_whole_one(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with path.open() as reader:
        replace_file(path, b"new")
        assert reader.read() == "old"
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["file"]


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def interrupted() -> None:
        with replaced(path) as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


def test_kill_in_the_middle_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    code = (
        "import os, sys; from pathlib import Path; from pybuild.builder.outputs.files import replaced\n"
        "with replaced(Path(sys.argv[1])) as file:\n    file.write(b'half'); file.flush(); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], check=False, timeout=60)
    assert done.returncode == -9
    assert path.read_text() == "old"


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "link").symlink_to(victim)
    replace_file(tmp_path / "link", b"new")
    assert victim.read_text() == "precious"
    assert not (tmp_path / "link").is_symlink()


def test_a_file_that_is_mounted_is_written_to(tmp_path: Path) -> None:
    for name in ("path", "mounted"):
        (tmp_path / name).write_text("a longer old text")
    code = (
        "import sys; from pathlib import Path; from pybuild.builder.outputs.files import replace_file\n"
        "replace_file(Path(sys.argv[1]), b'new')"
    )
    mount = 'mount --bind "$1/mounted" "$1/path" && shift && exec "$@"'
    words = ["unshare", "--mount", "sh", "-c", mount, "sh", str(tmp_path), sys.executable, "-c", code]
    subprocess.run([*words, str(tmp_path / "path")], check=True, timeout=60)
    assert (tmp_path / "mounted").read_text() == "new"
    assert (tmp_path / "path").read_text() == "a longer old text"
    assert sorted(os.listdir(tmp_path)) == ["mounted", "path"]


def test_the_mode_of_a_new_file_follows_the_umask(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        replace_file(tmp_path / "file", b"")
    finally:
        os.umask(old)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640


def test_a_device_is_written_to_and_stays(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    try:
        replace_file(tmp_path / "pipe", b"through")
        assert os.read(reader, 100) == b"through"
    finally:
        os.close(reader)
    assert (tmp_path / "pipe").is_fifo()


def test_a_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="is a directory"):
        replace_file(tmp_path, b"")


@pytest.mark.parametrize("name", ["n" * 255, "\N{CJK UNIFIED IDEOGRAPH-9577}" * 85], ids=["ascii", "wide"])
def test_a_name_of_255_bytes_still_has_room_for_its_temporary_one(tmp_path: Path, name: str) -> None:
    replace_file(tmp_path / name, b"x")
    assert (tmp_path / name).read_bytes() == b"x"


def test_no_path_means_standard_output(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    with destination(None) as file:
        file.write(b"\0archive")
    assert capfdbinary.readouterr().out == b"\0archive"


def test_a_terminal_gets_no_archive() -> None:
    import pty

    code = "from pybuild.builder.outputs.files import destination\nwith destination(None): pass"
    master, slave = pty.openpty()
    try:
        done = subprocess.run(
            [sys.executable, "-c", code], stdout=slave, stderr=subprocess.PIPE, check=False, timeout=60
        )
    finally:
        os.close(master)
        os.close(slave)
    assert b"refusing to write an archive to a terminal" in done.stderr


def test_a_full_disk_is_said_of_the_file_that_was_written() -> None:
    with pytest.raises(OSError, match="No space left") as failed:
        replace_file(Path("/dev/full"), b"x")
    assert failed.value.filename == "/dev/full"
