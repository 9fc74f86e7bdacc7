"""An archive on standard input as the build context."""

import io
import os
import sys
import tarfile
from pathlib import Path
from subprocess import run

from pybuild.builder.cli import main as cli
from tests.helpers.disks import small_disk
from tests.helpers.hosts import need_root


def archive(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def test_a_full_disk_of_temporary_files_is_not_blamed_on_a_file_of_the_archive(tmp_path: Path) -> None:
    need_root()
    command = [sys.executable, "-c", "from pybuild.builder.cli import main; main.main()", "build", "-"]
    with small_disk(tmp_path / "small", "1m") as disk:
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(Path(cli.__file__).parents[3]),
            "PYBUILD_ROOT": str(tmp_path / "store"),
            "TMPDIR": str(disk),
        }
        given = archive(Dockerfile=b"FROM scratch\n", big=bytes(3 << 20))
        done = run(command, input=given, env=environment, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (3, b"")
    message = f"ERROR: no space left in {disk}, the directory of temporary files\nhint: $TMPDIR selects another"
    assert done.stderr.decode().startswith(message)
